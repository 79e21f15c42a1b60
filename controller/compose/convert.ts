import { isAbsolute, normalize, posix } from 'node:path'
import { wrongServerName } from '#manifests/name.ts'
import { composeAnswer } from '../compile/compose-names.ts'
import { nameOf } from './name.ts'
import type { Service } from './service.ts'
import { looksSecret, pairs, sortVariables } from './variables.ts'
import { readVolumes } from './volumes.ts'

/** A server's manifest as plain values, in the order of its keys. */
export type Draft = Readonly<Record<string, unknown>>

export interface Conversion {
  readonly name: string
  /** Undefined where the service cannot be a server. */
  readonly manifest: Draft | undefined
  /** What could not be carried over, or is to be done, a line each. */
  readonly notes: readonly string[]
}

export interface Surroundings {
  /** From the folder that holds `manifests/` to the compose file's; absent where that lies outside. */
  readonly folder: string | undefined
  /** Names in an env file of the compose file's folder; undefined where it cannot be read. */
  readonly envFile: (path: string) => readonly string[] | undefined
}

/** Handled below, or what the gateway does for every server anyway. */
const silent = new Set(
  `image build entrypoint command environment env_file ports expose volumes tmpfs user mem_limit cpus pids_limit deploy
  healthcheck restart container_name init read_only pull_policy cap_drop`.split(/\s+/),
)

/** A service of a compose file as a manifest, with what it cannot say. Pure but for the env files that are asked for. */
export function convert(service: string, given: Service, around: Surroundings): Conversion {
  const name = nameOf(service)
  const files = namesInFiles(given, around)
  const variables = sortVariables(given, files.names)
  const volumes = readVolumes(given)
  const source = sourceOf(given, around)
  const port = portOf(given)
  const limits = limitsOf(given)
  const notes = [
    ...(name === service ? [] : [`is named ${name} here`]),
    ...source.notes,
    ...files.notes,
    ...variables.notes,
    ...volumes.notes,
    ...port.notes,
    ...Object.keys(given).flatMap((key) => (silent.has(key) || key.startsWith('x-') ? [] : [strange(key)])),
  ]
  const wrong = wrongServerName(name)
  if (wrong !== undefined) return { name, manifest: undefined, notes: [`${wrong}; rename the service`] }
  if (source.keys === undefined) return { name, manifest: undefined, notes }
  const secrets = Object.entries(variables.secrets).map(([key, from]) => (key === from ? key : { [key]: from }))
  const manifest = {
    ...source.keys,
    ...only('command', commandOf(given)),
    ...only('port', port.port),
    ...only('health', healthOf(given)),
    ...only('env', filled(variables.env)),
    ...only('secrets', secrets.length > 0 ? secrets : undefined),
    ...only('volumes', volumes.volumes.length > 0 ? volumes.volumes : undefined),
    ...only('mounts', volumes.mounts.length > 0 ? volumes.mounts : undefined),
    ...only('tmpfs', given.tmpfs == null ? undefined : ['/tmp', ...list(given.tmpfs)].filter(isFirst)),
    ...only('limits', filled(limits)),
    ...only('user', /^\d+(:\d+)?$/.test(given.user ?? '') ? given.user : undefined),
  }
  const user = given.user !== undefined && manifest.user === undefined ? [`user: ${given.user} is no number`] : []
  return { name, manifest, notes: [...notes, ...user] }
}

function only(key: string, value: unknown): Readonly<Record<string, unknown>> {
  return value === undefined ? {} : { [key]: value }
}

function filled<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value
}

function list(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}

function isFirst(value: string, index: number, all: readonly string[]): boolean {
  return all.indexOf(value) === index
}

function strange(key: string): string {
  return `${key}: ${composeAnswer(key)?.replace(/^unknown key[:,] /, '') ?? 'has nothing here that says the same'}`
}

function namesInFiles({ env_file: given }: Service, { envFile }: Surroundings) {
  const paths = given == null ? [] : Array.isArray(given) ? given : [given]
  const read = paths
    .map((file) => (typeof file === 'string' ? file : file.path))
    .map((path) => ({ path, names: envFile(path) }))
  return {
    names: read.flatMap(({ names = [] }) => names),
    notes: read.map(({ path, names }) =>
      names === undefined
        ? `env_file ${path}: cannot be read; list the names in it as "secrets"`
        : `env_file ${path}: its values belong into the secrets file on the machine`,
    ),
  }
}

function sourceOf({ build, image }: Service, { folder }: Surroundings): { keys: Draft | undefined; notes: string[] } {
  if (build !== undefined) {
    const {
      context = '.',
      dockerfile,
      dockerfile_inline,
      args,
      target,
    } = typeof build === 'string' ? { context: build } : build
    const path =
      folder === undefined || isAbsolute(context) ? '..' : normalize(posix.join(folder, context)).replace(/\/$/, '')
    if (path.startsWith('..') || /^[a-z+]+:|^git@/.test(context))
      return { keys: undefined, notes: [`build ${context}: lies outside of the repository; copy it in`] }
    const given = pairs(args).map(([key, value]) => ({ key, value, wrong: wrongArgument(key, value) }))
    const own = given.flatMap(({ key, value, wrong }) => (wrong === undefined ? [[key, value] as const] : []))
    const more = {
      ...only('dockerfile', dockerfile),
      ...only('dockerfile_inline', dockerfile_inline),
      ...only('args', filled(Object.fromEntries(own))),
      ...only('target', target),
    }
    return {
      keys: { build: filled(more) === undefined ? path : { context: path, ...more } },
      notes: given.flatMap(({ key, wrong }) => (wrong === undefined ? [] : [`build argument ${key}: ${wrong}`])),
    }
  }
  if (image === undefined) return { keys: undefined, notes: ['has neither image nor build'] }
  if (/@sha256:[0-9a-f]{64}$/.test(image)) return { keys: { image }, notes: [] }
  const how = `docker buildx imagetools inspect ${image}`
  return {
    keys: undefined,
    notes: [`image ${image}: needs its digest, as ${image.replace(/@.*/, '')}@sha256:…; "${how}" tells it`],
  }
}

function wrongArgument(name: string, value: string | undefined): string | undefined {
  if (value === undefined || value.includes('$')) return "comes from compose's environment; write it out"
  return looksSecret(name, value) ? 'looks like a secret, which no build is given' : undefined
}

function commandOf({ entrypoint, command }: Service): readonly string[] | undefined {
  const words = [entrypoint, command].flatMap((part) =>
    part == null ? [] : typeof part === 'string' ? split(part) : part,
  )
  return words.length === 0 ? undefined : words
}

/** A line with quotes or variables is the shell's to read. */
function split(line: string): readonly string[] {
  return /["'\\$`|&;<>*?]/.test(line) ? ['/bin/sh', '-c', line] : line.trim().split(/\s+/)
}

function portOf({ ports, expose }: Service): { readonly port?: number; readonly notes: readonly string[] } {
  const inside = [...(ports ?? []), ...(expose ?? [])].map((port) =>
    typeof port === 'object'
      ? port.target
      : Number(
          String(port)
            .replace(/\/\w+$/, '')
            .split(':')
            .at(-1),
        ),
  )
  const [port, ...more] = [...new Set(inside)].filter((one) => Number.isInteger(one))
  if (port === undefined) return { notes: inside.length === 0 ? [] : ['ports: no single port is named; write "port"'] }
  return {
    port,
    notes: more.map((other) => `port ${other}: a server has one, ${port}; agents reach it through the gateway only`),
  }
}

function limitsOf({ deploy, mem_limit, cpus, pids_limit }: Service) {
  const limits = deploy?.resources?.limits
  const memory = String(limits?.memory ?? mem_limit ?? '').toLowerCase()
  const bytes = /^\d+$/.test(memory) ? `${memory}b` : memory
  return {
    ...only('memory', /^\d{1,9}[bkmg]b?$/.test(bytes) ? bytes : undefined),
    ...only('cpus', limits?.cpus ?? cpus),
    ...only('pids', limits?.pids ?? pids_limit),
  }
}

/** A check over HTTP names its path; any other is answered by the probes. */
function healthOf({ healthcheck }: Service): string | undefined {
  const test = healthcheck?.test
  const words = test === undefined ? '' : list(test).join(' ')
  return /https?:\/\/(?:localhost|127\.0\.0\.1)(?::\d+)?(\/[\w./-]+)/.exec(words)?.[1]
}

/** Where a compose file lies, seen from the folder that holds `manifests/`. */
export function below(root: string, folder: string): string | undefined {
  const path = posix.relative(root, folder)
  return path.startsWith('..') ? undefined : path
}
