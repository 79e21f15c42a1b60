import { createHash } from 'node:crypto'
import type { Credential } from '#manifests/table.ts'
import type { BuildInput, Server } from './desired.ts'
import { type Generation, generationKey, type Mount } from './host.ts'
import type { Glass } from './trust/break-glass.ts'

/** What the machine adds to a commit before a server can run. */
export interface Machine {
  readonly instance: string
  readonly secrets: ReadonlyMap<string, string>
  /** Why the secrets file cannot be read, and `secrets` are what it said before; every server that needs one is held. */
  readonly secretsFault?: string
  /** Who is let in whatever the repository says. */
  readonly glass?: Glass
  /** Folders that the operator offers, by name. */
  readonly mounts: ReadonlyMap<string, string>
  /** Hash of the wrapper that serves programs which speak on stdin and stdout. */
  readonly stdio: string
  /** HMAC of secret values with a key that never leaves the machine. */
  readonly seal: (values: Readonly<Record<string, string>>) => string
  /** Shown in what is missing: the path of the secrets file. */
  readonly secretsFile: string
}

/** What a generation was made from, kept so that a later plan can say what changed. Holds no secret. */
export interface Parts {
  readonly image: string
  /** `mode oid` by path; empty for an image that is not built. */
  readonly files: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, string>>
  readonly secrets: string
}

/** A server of the commit, made concrete on this machine; or held, with what is missing. */
export type Target =
  | { readonly kind: 'run'; readonly server: Server; readonly generation: Generation; readonly parts: Parts }
  | {
      readonly kind: 'elsewhere'
      readonly server: Server
      readonly url: string
      readonly credential?: Credential
    }
  | { readonly kind: 'held'; readonly server: Server; readonly because: string }

/** What a plan calls a version of the wrapper: the one thing in an identity that comes with the gateway itself. */
export const stdioWrapper = 'stdio wrapper'

/** The commit says what a server is, the machine adds values and folders; the hash of all of it is its identity. */
export function target(server: Server, commit: string, machine: Machine): Target {
  const { runs } = server
  const missing = missingParts(server, machine)
  if (missing !== undefined) return { kind: 'held', server, because: missing }
  if (runs.kind === 'url') return { kind: 'elsewhere', server, url: runs.url, ...credentialOf(server, machine) }
  const values = secretValues(server, machine)
  const wrapper = server.stdio === undefined ? undefined : machine.stdio
  const parts = partsOf(server, wrapper, Object.keys(values).length === 0 ? '' : machine.seal(values))
  const spec = createHash('sha256')
    .update(JSON.stringify([1, parts.image, server.config, parts.secrets, ...(wrapper === undefined ? [] : [wrapper])]))
    .digest('hex')
  const image =
    runs.kind === 'build' ? { kind: 'built' as const, input: runs.input } : { kind: 'ref' as const, ref: runs.ref }
  const generation: Generation = {
    server: server.name,
    spec,
    origin: commit,
    image,
    ...(server.command === undefined ? {} : { command: server.command }),
    ...stdioOf(server),
    port: server.port,
    env: { ...server.env, ...values },
    mounts: mountsOf(server, machine),
    tmpfs: server.tmpfs,
    limits: server.limits,
    egress: server.egress,
    ...(server.user === undefined ? {} : { user: server.user }),
    seccomp: server.seccomp,
  }
  return { kind: 'run', server, generation, parts }
}

/** How the table names what a target runs as; undefined while it is held. */
export function targetKey(wanted: Target): string | undefined {
  switch (wanted.kind) {
    case 'run':
      return generationKey(wanted.server.name, wanted.generation.spec)
    case 'elsewhere':
      return generationKey(wanted.server.name, createHash('sha256').update(wanted.url).digest('hex'))
    case 'held':
      return undefined
    default:
      return wanted satisfies never
  }
}

/** Whether two generations may not run at once, because they would write one volume. */
export function isExclusive(server: Server): boolean {
  return server.volumes.some((volume) => !volume.shared)
}

/** Names that the secrets file must have. */
export function neededSecrets({ secrets, auth }: Pick<Server, 'secrets' | 'auth'>): readonly string[] {
  return [...Object.values(secrets), ...(auth === undefined ? [] : [auth.secret])]
}

function missingParts(server: Server, machine: Machine): string | undefined {
  const needed = neededSecrets(server)
  if (needed.length > 0 && machine.secretsFault !== undefined) return machine.secretsFault
  const secrets = [...new Set(needed)].filter((name) => !machine.secrets.has(name))
  if (secrets.length > 0)
    return `${secrets.join(', ')} ${secrets.length === 1 ? 'is' : 'are'} not in the secrets file ${machine.secretsFile} (GATEWAY_SECRETS)`
  const mounts = server.mounts.filter(({ source }) => !machine.mounts.has(source))
  if (mounts.length > 0)
    return `this machine offers no folder named ${mounts.map(({ source }) => source).join(', ')} (GATEWAY_MOUNTS)`
  if (server.auth !== undefined && !sendable.test(machine.secrets.get(server.auth.secret) ?? ''))
    return `${server.auth.secret} cannot be sent in a header: it must be one line of letters, digits and signs of ASCII`
  return undefined
}

/** A value that HTTP carries as it is (RFC 9110, 5.5). */
const sendable = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

function credentialOf({ auth }: Server, machine: Machine): { credential?: Credential } {
  if (auth === undefined) return {}
  const secret = machine.secrets.get(auth.secret) ?? ''
  const value = auth.scheme === '' ? secret : `${auth.scheme} ${secret}`
  return { credential: { header: auth.header.toLowerCase(), value } }
}

function secretValues(server: Server, machine: Machine): Record<string, string> {
  return Object.fromEntries(
    Object.entries(server.secrets).map(([variable, name]) => [variable, machine.secrets.get(name) ?? ''] as const),
  )
}

function mountsOf(server: Server, machine: Machine): Mount[] {
  const volumes = server.volumes.map(({ source, target }) => ({ kind: 'volume' as const, source, target }))
  const folders = server.mounts.map(({ source, target }) => ({
    kind: 'folder' as const,
    source: machine.mounts.get(source) ?? '',
    target,
  }))
  return [...volumes, ...folders]
}

/** What the wrapper is told beside the command. */
function stdioOf({ stdio, path, health, secrets }: Server): Pick<Generation, 'stdio'> {
  if (stdio === undefined) return {}
  return { stdio: { ...stdio, path, ...(health === undefined ? {} : { health }), secrets: Object.keys(secrets) } }
}

function partsOf(server: Server, wrapper: string | undefined, secrets: string): Parts {
  const { runs } = server
  const settings = {
    command: server.command,
    stdio: server.stdio && [server.stdio, server.path, server.health],
    [stdioWrapper]: wrapper,
    port: server.port,
    secrets: server.secrets,
    volumes: server.volumes,
    mounts: server.mounts,
    limits: server.limits,
    egress: server.egress,
    user: server.user,
    tmpfs: server.tmpfs,
    seccomp: server.seccomp,
    ...Object.fromEntries(Object.entries(server.env).map(([name, value]) => [`env.${name}`, value])),
  }
  return {
    image: runs.kind === 'build' ? runs.input.hash : runs.kind === 'image' ? runs.ref : runs.url,
    files: runs.kind === 'build' ? filesOf(runs.input) : {},
    settings: Object.fromEntries(
      Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [[key, JSON.stringify(value)]])),
    ),
    secrets,
  }
}

function filesOf(input: BuildInput): Record<string, string> {
  const prefix = input.context === '' ? '' : `${input.context}/`
  return Object.fromEntries(input.files.map(({ path, mode, oid }) => [`${prefix}${path}`, `${mode} ${oid}`]))
}

/** Why `after` is not `before`, in words: which files, settings or secrets differ. */
export function difference(before: Parts | undefined, after: Parts): string {
  if (before === undefined) return 'it differs from what runs'
  const changes: string[] = []
  if (before.image !== after.image) changes.push(imageChange(before, after))
  const settings = changedKeys(before.settings, after.settings)
  if (settings.length > 0) changes.push(`${few(settings)} changed`)
  if (before.secrets !== after.secrets) changes.push('the value of a secret changed')
  return changes.join('; ') || 'it differs from what runs'
}

function imageChange(before: Parts, after: Parts): string {
  const files = changedKeys(before.files, after.files)
  if (Object.keys(after.files).length === 0) return `image changed: ${after.image}`
  return files.length === 0 ? 'how it is built changed' : `build input changed: ${few(files)}`
}

function changedKeys(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].filter((key) => before[key] !== after[key]).sort()
}

function few(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
