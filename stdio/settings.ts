import { parseArgs } from 'node:util'

/** What the wrapper is told when it is started. */
export interface Settings {
  readonly host: string
  readonly port: number
  /** Of the MCP endpoint and of the health check, as `pathOf` gives them. */
  readonly path: string
  readonly health: string
  /** Programs at once, beside those of probes. */
  readonly sessions: number
  /** Time without a message after which a program is ended, ms. */
  readonly idle: number
  readonly command: readonly [string, ...string[]]
  /** The environment of the programs. */
  readonly env: Readonly<Record<string, string>>
  /** Values that no log and no answer shows, by the variable that holds them. */
  readonly secrets: ReadonlyMap<string, string>
}

/** The longest message, in either direction, bytes. */
export const longest = 8 * 1024 * 1024

/** Variables that would change how the wrapper itself runs are brought to the programs under this prefix. */
const aside = 'COMMONS_GATEWAY_ASIDE_'
/** Where the wrapper listens is nothing that its programs should know: some would serve HTTP there. */
const own = new Set(['HOST', 'PORT'])

/** From arguments such as `--path /mcp --sessions 8 --idle 600000 -- program argument`. Throws with one line that says what is wrong. */
export function readSettings(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Settings {
  const text = { type: 'string' } as const
  const options = { path: text, health: text, sessions: text, idle: text, secrets: text } as const
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [program, ...rest] = positionals
  if (program === undefined || program === '') throw new Error('there is no command to run: name one after --')
  const given = environmentOf(env)
  return {
    host: env.HOST ?? '127.0.0.1',
    port: wholeNumber('PORT', env.PORT),
    path: pathOf(values.path ?? '/mcp'),
    health: pathOf(values.health ?? '/healthz'),
    sessions: wholeNumber('--sessions', values.sessions ?? '8'),
    idle: wholeNumber('--idle', values.idle ?? '600000'),
    command: [program, ...rest],
    env: given,
    secrets: new Map(
      (values.secrets ?? '').split(',').flatMap((name) => {
        const value = given[name]
        return value === undefined || value.length < 4 ? [] : [[name, value] as const]
      }),
    ),
  }
}

/** Without its query, and without slashes at its end. */
export function pathOf(target: string): string {
  return target.replace(/\?.*$/s, '').replace(/(?<=.)\/+$/, '')
}

function environmentOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && !own.has(name) && !name.startsWith(aside) && env[aside + name] === undefined)
      given[name] = value
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && name.startsWith(aside)) given[name.slice(aside.length)] = value
  return given
}

function wholeNumber(name: string, text: string | undefined): number {
  const value = Number(text)
  if (text !== undefined && /^\d+$/.test(text) && value > 0) return value
  throw new Error(`${name}: expected a number above 0, found ${text ?? 'nothing'}`)
}

/** The text without the values of secrets. */
export function redact({ secrets }: Settings, text: string): string {
  let shown = text
  for (const [name, value] of secrets) shown = shown.replaceAll(value, `[${name}]`)
  return shown
}
