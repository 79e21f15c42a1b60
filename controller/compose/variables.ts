import type { Service } from './service.ts'

/** Variables of a service, sorted out: what may be committed, and what comes from the secrets file. */
export interface Variables {
  readonly env: Readonly<Record<string, string>>
  /** Variable → name in the secrets file. */
  readonly secrets: Readonly<Record<string, string>>
  readonly notes: readonly string[]
}

const sensitive =
  /(?:^|_)(?:(?:[A-Z]+)?(?:TOKEN|SECRET|PASSWORD|PASSWD)|PASS|PWD|(?:API|ACCESS|PRIVATE)?KEY|CREDENTIALS?)(?:_|$)/i
const withCredential = /:\/\/[^/\s@]+@/
const reference = /^\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))$/
const withDefault = /^\$\{[A-Za-z_]\w*:?-([^${}]*)\}$/
const ours = /^GATEWAY_/i
const notOurs = 'a server gets no GATEWAY_* variable'

/** What looks like a secret is never committed: its name is, and its value belongs into the secrets file. */
export function sortVariables(service: Service, filed: readonly string[]): Variables {
  const given = pairs(service.environment).map(([name, value]) => ({ name, ...sortOne(name, value) }))
  const env = given.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]))
  const known = new Set(env.map(([name]) => name))
  const fromFiles = filed.filter((name) => !known.has(name) && !ours.test(name)).map((name) => [name, name] as const)
  const secrets = given.flatMap(({ name, secret }) => (secret === undefined ? [] : [[name, secret] as const]))
  return {
    env: Object.fromEntries(env),
    secrets: Object.fromEntries([...fromFiles, ...secrets]),
    notes: [
      ...given.flatMap(({ name, note }) => (note === undefined ? [] : [`environment ${name}: ${note}`])),
      ...filed.filter((name) => ours.test(name)).map((name) => `env_file: ${name}: ${notOurs}`),
    ],
  }
}

interface Sorted {
  readonly value?: string
  readonly secret?: string
  readonly note?: string
}

function sortOne(name: string, value: string | undefined): Sorted {
  if (ours.test(name)) return { note: notOurs }
  if (value === undefined) return { secret: name }
  const [, braced, bare] = reference.exec(value) ?? []
  if (braced !== undefined || bare !== undefined) return { secret: braced ?? bare ?? name }
  if (looksSecret(name, value))
    return { secret: name, note: 'looks like a secret: its value belongs into the secrets file' }
  const fallback = withDefault.exec(value)?.[1]
  if (fallback !== undefined)
    return { value: fallback, note: `is "${fallback}" here, whatever compose's environment says` }
  if (/\$(?!\$)/.test(value.replaceAll('$$', '')))
    return { note: `"${value}" is put together by compose; write it out` }
  return { value: value.replaceAll('$$', '$') }
}

/** By its name, or because it is an address that has a credential in it. */
export function looksSecret(name: string, value: string): boolean {
  return sensitive.test(name) || withCredential.test(value)
}

/** `KEY=value`, `KEY`, or a mapping; undefined for a variable that compose takes from its own environment. */
export function pairs(given: Service['environment']): readonly (readonly [string, string | undefined])[] {
  if (given === null || given === undefined) return []
  if (!Array.isArray(given))
    return Object.entries(given).map(([name, value]) => [name, value === null ? undefined : String(value)])
  return given.map((line) => {
    const at = line.indexOf('=')
    return at < 0 ? [line, undefined] : [line.slice(0, at), line.slice(at + 1)]
  })
}
