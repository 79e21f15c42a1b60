import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { suggestion } from '../compile/nearest.ts'
import { frontNetwork } from '../docker/labels.ts'
import { forgeFaults, forgeOf, type OnForge } from '../forge/address.ts'
import { readRepository } from '../source/repository.ts'
import type { SourceOptions } from '../source/source.ts'
import { debuggingFaults } from './debugging.ts'
import * as read from './variable.ts'

/** The controller's environment, parsed. */
export interface Config {
  /** What `openSource` takes. */
  readonly source: SourceOptions
  /** A node-cron expression. */
  readonly poll: string
  /** Absolute path of the state folder. */
  readonly state: string
  /** Absolute path of the secrets file. */
  readonly secrets: string
  /** Absolute path of a permissions file whose agents are always added. */
  readonly breakGlass?: string
  /** Folders of the machine that manifests may ask for, by name. */
  readonly mounts: Readonly<Record<string, string>>
  /** Engine networks of others that the edge joins. */
  readonly networks: readonly string[]
  /** CIDR of an IPv4 range. */
  readonly subnets: string
  readonly runtime: 'docker' | 'process'
  /** Path of the engine's socket, where it is not the usual one. */
  readonly engine?: string
  /** Path of a docker `config.json` with credentials for registries. */
  readonly registryAuth?: string
  readonly instance: string
  /** Where agents connect, and the same as they write it. */
  readonly proxy: { readonly listen: read.Address; readonly url?: string }
  readonly status: { readonly listen: read.Address; readonly url?: string; readonly operatorToken?: string }
  /** Any of them may sign a delivery; empty means that there is no webhook. */
  readonly webhookSecrets: readonly string[]
  /** The repository on its forge, and who speaks for us there; absent: the forge is told nothing. */
  readonly forge?: OnForge | undefined
  /** Whether commits may replace the controller itself. */
  readonly selfUpdate: boolean
  readonly logLevel: z.infer<typeof LogLevel>
  /** What child processes may have of this process's environment: PATH, HOME, LANG, TZ and proxies. */
  readonly inherited: Readonly<Record<string, string>>
}

/** The operator must act; one line for each wrong variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly lines: readonly string[]
  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

const LogLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])

const Environment = z.object({
  GATEWAY_REPO: value(repository, 'not given, required is the URL or path of the gateway repository'),
  GATEWAY_BRANCH: value(read.readBranch).default('main'),
  GATEWAY_PATH: value(read.readPath).default(''),
  GATEWAY_POLL: value(read.readCron).default('*/30 * * * * *'),
  GATEWAY_GIT_TOKEN: value(read.readToken).optional(),
  GATEWAY_SSH_KEY_FILE: value(absolute).optional(),
  GATEWAY_SSH_KNOWN_HOSTS: value(absolute).optional(),
  GATEWAY_CA_FILE: value(absolute).optional(),
  GATEWAY_ALLOWED_SIGNERS: value(absolute).optional(),
  GATEWAY_STATE: value(read.readState).default('/var/lib/gateway'),
  GATEWAY_SECRETS: value(absolute).default('/opt/gateway/.env'),
  GATEWAY_MOUNTS: value(read.readMounts).default({}),
  GATEWAY_NETWORKS: value(read.readNetworks).default([]),
  GATEWAY_SUBNETS: value(read.readSubnets).default('10.213.0.0/16'),
  GATEWAY_RUNTIME: value(oneOf(z.enum(['docker', 'process']))).default('docker'),
  GATEWAY_INSTANCE: value(read.readInstance).default('gateway'),
  GATEWAY_PROXY_LISTEN: value(read.readFixedAddress).default({ host: '0.0.0.0', port: 3100 }),
  GATEWAY_URL: value(read.readAgentsUrl).optional(),
  GATEWAY_LISTEN: value(read.readAddress).default({ host: '0.0.0.0', port: 3110 }),
  GATEWAY_STATUS_URL: value(read.readBaseUrl).optional(),
  GATEWAY_OPERATOR_TOKEN: value(read.readToken).optional(),
  GATEWAY_REGISTRY_AUTH: value(absolute).optional(),
  GATEWAY_WEBHOOK_SECRET: value(read.readTokens).default([]),
  GATEWAY_BREAK_GLASS: value(absolute).optional(),
  GATEWAY_FORGE_URL: value(read.readBaseUrl).optional(),
  GATEWAY_FORGE_TOKEN: value(read.readToken).optional(),
  GATEWAY_SELF_UPDATE: value(oneOf(z.enum(['on', 'off']))).default('off'),
  LOG_LEVEL: value(oneOf(LogLevel)).default('info'),
  DOCKER_HOST: value(read.readEngine).optional(),
})
type Environment = z.infer<typeof Environment>

/** Every variable that has an effect. */
export const variableNames = Object.keys(Environment.shape)
const inFiles = ['GATEWAY_GIT_TOKEN', 'GATEWAY_OPERATOR_TOKEN', 'GATEWAY_WEBHOOK_SECRET', 'GATEWAY_FORGE_TOKEN']
const allNames = [...variableNames, ...inFiles.map((name) => `${name}_FILE`)]

/** Reads the whole environment of the controller. An empty variable is one that is not given. Throws `ConfigError`. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = new Map(Object.entries(env).flatMap(([name, text]) => (text ? [[name, text] as const] : [])))
  const lines = [...strangers(given.keys()), ...fromFiles(given), ...debuggingFaults(given)]
  if (given.get('GATEWAY_RUNTIME') === 'process') given.delete('DOCKER_HOST')
  const parsed = Environment.safeParse(Object.fromEntries(given))
  if (parsed.success) lines.push(...conflicts(parsed.data))
  else lines.push(...parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
  if (!parsed.success || lines.length > 0) throw new ConfigError(lines)
  return arrange(parsed.data, inherit(given))
}

function arrange(env: Environment, inherited: Config['inherited']): Config {
  return {
    source: {
      repo: env.GATEWAY_REPO,
      branch: env.GATEWAY_BRANCH,
      path: env.GATEWAY_PATH,
      state: env.GATEWAY_STATE,
      token: env.GATEWAY_GIT_TOKEN,
      sshKeyFile: env.GATEWAY_SSH_KEY_FILE,
      sshKnownHosts: env.GATEWAY_SSH_KNOWN_HOSTS,
      caFile: env.GATEWAY_CA_FILE,
      signers: env.GATEWAY_ALLOWED_SIGNERS,
      inherited,
    },
    poll: env.GATEWAY_POLL,
    state: env.GATEWAY_STATE,
    secrets: env.GATEWAY_SECRETS,
    breakGlass: env.GATEWAY_BREAK_GLASS,
    mounts: env.GATEWAY_MOUNTS,
    networks: env.GATEWAY_NETWORKS,
    subnets: env.GATEWAY_SUBNETS,
    runtime: env.GATEWAY_RUNTIME,
    engine: env.DOCKER_HOST,
    registryAuth: env.GATEWAY_REGISTRY_AUTH,
    instance: env.GATEWAY_INSTANCE,
    proxy: { listen: env.GATEWAY_PROXY_LISTEN, url: env.GATEWAY_URL },
    status: { listen: env.GATEWAY_LISTEN, url: env.GATEWAY_STATUS_URL, operatorToken: env.GATEWAY_OPERATOR_TOKEN },
    webhookSecrets: env.GATEWAY_WEBHOOK_SECRET,
    forge: forgeOf(onForge(env)),
    selfUpdate: env.GATEWAY_SELF_UPDATE === 'on',
    logLevel: env.LOG_LEVEL,
    inherited,
  }
}

function onForge({ GATEWAY_REPO: repo, GATEWAY_FORGE_URL: url, GATEWAY_FORGE_TOKEN: token }: Environment) {
  return { repo, url, token }
}

function strangers(given: Iterable<string>): readonly string[] {
  return [...given]
    .filter((name) => name.startsWith('GATEWAY_') && !allNames.includes(name))
    .map((name) => `${name}: unknown${suggestion(name, allNames)}`)
}

/** Moves what stands in files into the variables themselves; gives what is wrong with the files. */
function fromFiles(given: Map<string, string>): readonly string[] {
  return inFiles.flatMap((name) => {
    const variable = `${name}_FILE`
    const file = given.get(variable)
    if (file === undefined) return []
    if (given.has(name)) return [`${variable}: given beside ${name}, allowed is one of the two`]
    try {
      const text = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
      if (text === '') return [`${variable}: ${file} is empty`]
      given.set(name, text)
      return []
    } catch (error) {
      return [`${variable}: ${file} cannot be read (${reason(error)})`]
    }
  })
}

function conflicts(env: Environment): readonly string[] {
  const lines = [...forgeFaults(onForge(env))]
  const { GATEWAY_PROXY_LISTEN: agents, GATEWAY_LISTEN: people, GATEWAY_INSTANCE: instance } = env
  if (readRepository(env.GATEWAY_REPO).kind === 'ssh')
    for (const name of ['GATEWAY_SSH_KEY_FILE', 'GATEWAY_SSH_KNOWN_HOSTS'] as const)
      if (env[name] === undefined) lines.push(`${name}: not given, required for a repository that is reached by ssh`)
  if (agents.port === people.port && overlap(agents.host, people.host))
    lines.push(`GATEWAY_LISTEN: port ${people.port} is that of GATEWAY_PROXY_LISTEN, allowed is another`)
  const front = frontNetwork(instance)
  const early = env.GATEWAY_NETWORKS.find((name) => name <= front)
  if (early !== undefined)
    lines.push(
      `GATEWAY_NETWORKS: "${early}" sorts before the gateway's own "${front}", and the engine would move the published port there; allowed are names that sort after it`,
    )
  return lines
}

function overlap(a: string, b: string): boolean {
  return a === b || [a, b].some((host) => host === '0.0.0.0' || host === '::')
}

/** Where programs and people's settings are, and the way out: for git as for npm. */
const child = /^(PATH|HOME|LANG|TZ|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|npm_config_.+|(https?|no|all)_proxy)$/i

function inherit(given: ReadonlyMap<string, string>): Config['inherited'] {
  return Object.fromEntries([...given].filter(([name]) => child.test(name)))
}

function repository(text: string): string {
  readRepository(text)
  return text
}

function absolute(text: string): string {
  return resolve(text)
}

function oneOf<T extends string>(choice: z.ZodType<T> & { readonly options: readonly T[] }): (text: string) => T {
  return (text) => {
    const { success, data } = choice.safeParse(text)
    if (!success) throw new read.WrongValue(`found ${read.quoted(text)}, allowed is ${choice.options.join(', ')}`)
    return data
  }
}

function value<T>(parse: (text: string) => T, missing?: string) {
  return z.string({ error: missing }).transform((text, context): T => {
    try {
      return parse(text)
    } catch (error) {
      if (!(error instanceof read.WrongValue)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })
}

function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
