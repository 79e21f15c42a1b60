import { isIPv6 } from 'node:net'
import { z } from 'zod'

export interface Config {
  /** The unit's name, as the controller knows it. */
  readonly name: string
  readonly listen: { readonly host: string; readonly port: number }
  /** Path of the controller's table socket. */
  readonly socket: string
  /** The folder that the proxies of an instance share. */
  readonly state: string
  /** How agents write the gateway's address; its host name is accepted. */
  readonly url: URL | undefined
  readonly level: Level
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
type Level = (typeof levels)[number]

const Listen = z.string('missing; give host:port, such as 0.0.0.0:3100').transform((text, context) => {
  const listen = readListen(text)
  if (listen === undefined) {
    context.addIssue(`"${text}" is not host:port with a port from 0 to 65535, such as 0.0.0.0:3100`)
    return z.NEVER
  }
  return listen
})

function readListen(text: string): Config['listen'] | undefined {
  const [, host, digits] = /^(.+):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (host === undefined || port > 65_535) return undefined
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  return bare.includes(':') && !isIPv6(bare) ? undefined : { host: bare, port }
}

const path = (what: string) =>
  z.string(`missing; give the path of ${what}`).startsWith('/', `must be an absolute path of ${what}`)

const Environment = z.object({
  GATEWAY_PROXY_NAME: z.string('missing; give the name of this proxy').min(1, 'must not be empty'),
  GATEWAY_PROXY_LISTEN: Listen,
  GATEWAY_TABLE_SOCKET: path("the controller's table socket"),
  GATEWAY_PROXY_STATE: path('the folder that the proxies share'),
  GATEWAY_URL: z.optional(z.url({ protocol: /^https?$/, error: 'must be a http or https URL' })),
  LOG_LEVEL: z.enum(levels, `must be one of ${levels.join(', ')}`).default('info'),
})

/** Some of the environment is wrong; `lines` has one line for each name. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly lines: readonly string[]
  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** Parses a proxy's environment, once; throws `ConfigError`. An empty value is an absent one. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(given)
  if (!parsed.success)
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
  const { data } = parsed
  return {
    name: data.GATEWAY_PROXY_NAME,
    listen: data.GATEWAY_PROXY_LISTEN,
    socket: data.GATEWAY_TABLE_SOCKET,
    state: data.GATEWAY_PROXY_STATE,
    url: data.GATEWAY_URL === undefined ? undefined : new URL(data.GATEWAY_URL),
    level: data.LOG_LEVEL,
  }
}
