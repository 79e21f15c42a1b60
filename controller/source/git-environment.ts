import type { Repository } from './repository.ts'

/** What opens the repository; absent where it is open to everybody. */
export interface GitAccess {
  readonly token?: string
  readonly sshKeyFile?: string
  readonly sshKnownHosts?: string
  readonly caFile?: string
}

/** What a git process inherits of ours: nothing but where programs are and how to get out of the house. */
export type Inherited = Readonly<Record<string, string>>

const inheritable = /^(PATH|(HTTPS?|NO|ALL)_PROXY)$/i
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The environment of every git process: no prompt, no pager, no other person's or system's configuration. */
export function gitEnvironment(home: string, inherited: Inherited): Record<string, string> {
  return {
    PATH: usualPath,
    ...Object.fromEntries(Object.entries(inherited).filter(([name]) => inheritable.test(name))),
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
  }
}

/** What is added for a git process that speaks to the repository: the one transport that it uses, and how. */
export function accessEnvironment(repository: Repository, access: GitAccess): Record<string, string> {
  switch (repository.kind) {
    case 'folder':
      return { GIT_ALLOW_PROTOCOL: 'file' }
    case 'ssh':
      return { GIT_ALLOW_PROTOCOL: 'ssh', GIT_SSH_VARIANT: 'ssh', GIT_SSH_COMMAND: sshCommand(access) }
    case 'http':
      return { GIT_ALLOW_PROTOCOL: repository.protocol }
    default:
      return repository satisfies never
  }
}

/** Settings for it: the credentials, and how long it waits for a byte, ms. */
export function accessSettings(
  repository: Repository,
  { token, caFile }: GitAccess,
  silence: number,
): Record<string, string> {
  if (repository.kind !== 'http') return {}
  return {
    'http.followRedirects': 'false',
    // A server that packs for long says no more than five bytes every five seconds.
    'http.lowSpeedLimit': '1',
    'http.lowSpeedTime': String(Math.ceil(silence / 1_000)),
    ...(caFile === undefined ? {} : { 'http.sslCAInfo': caFile }),
    // Basic is what Forgejo, GitHub and GitLab all take for a token, with any user name.
    ...(token === undefined
      ? {}
      : { [`http.${repository.origin}/.extraHeader`]: `Authorization: Basic ${basic(token)}` }),
  }
}

function basic(token: string): string {
  return Buffer.from(`x-access-token:${token}`).toString('base64')
}

/** Settings for one git process. */
export function gitConfig(settings: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(settings)
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(entries.length) }
  for (const [at, [key, value]] of entries.entries()) {
    variables[`GIT_CONFIG_KEY_${at}`] = key
    variables[`GIT_CONFIG_VALUE_${at}`] = value
  }
  return variables
}

function sshCommand({ sshKeyFile, sshKnownHosts }: GitAccess): string {
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${sshQuoted(sshKnownHosts ?? '/dev/null')}`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    'ConnectTimeout=10',
    'ServerAliveInterval=10',
    'ServerAliveCountMax=3',
  ]
  const key = sshKeyFile === undefined ? [] : ['-i', literal(sshKeyFile)]
  return ['ssh', '-F', '/dev/null', ...key, ...options.flatMap((option) => ['-o', option])].map(shellQuoted).join(' ')
}

/** ssh expands `%h` and the like in paths. */
function literal(path: string): string {
  return path.replaceAll('%', '%%')
}

/** UserKnownHostsFile takes several paths, split at spaces unless quoted. */
function sshQuoted(path: string): string {
  return `"${literal(path)}"`
}

export function shellQuoted(word: string): string {
  return /^[\w/.:=@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
