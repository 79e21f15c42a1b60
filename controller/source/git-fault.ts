import { shellQuoted } from './git-environment.ts'
import type { Repository } from './repository.ts'

/** The repository cannot be read now. Retried for ever; the message is one line and says what to change. */
export class SourceDown extends Error {
  override readonly name = 'SourceDown'
}

/** The commit is there, and the folder that holds the manifests is not. */
export class NoFolder extends SourceDown {}

/** A commit that was asked for by its hash is not in the mirror, nor will be. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown'
}

/** What a git process was about, as far as its errors need it. */
export interface Scene {
  readonly repository: Repository
  readonly state: string
  readonly home: string
  readonly token: boolean
  readonly sshKeyFile?: string
  readonly sshKnownHosts?: string
}

type Advice = (scene: Scene, match: RegExpExecArray) => string

const ofMachine: readonly (readonly [RegExp, Advice])[] = [
  [
    /no space left on device|disk quota exceeded/i,
    ({ state }) => `no space left on the disk that holds ${state}; free some`,
  ],
  [/read-only file system/i, ({ state }) => `${state} can only be read; let it be written`],
  [
    /spawn git ENOENT|\bgit: (command )?not found/,
    () => 'git is not installed; install it and see that it is on the PATH',
  ],
]

const ofRemote: typeof ofMachine = [
  [
    /fsck error|fsckObjects|: (hasDot|hasDotdot|hasDotgit|duplicateEntries)/,
    (_, { input }) =>
      `its history holds what git refuses as unsafe (${detail(input)}); take that commit out of the branch`,
  ],
  [/cannot run ssh|ssh: not found/, () => 'ssh is not installed; install openssh-client'],
  [/dubious ownership in repository at '(.+)'/, foreignFolder],
  [/host key verification failed|remote host identification has changed/i, wrongHostKey],
  [
    /unprotected private key file/i,
    ({ sshKeyFile = '' }) => `others can read the key; run: chmod 600 ${shellQuoted(sshKeyFile)}`,
  ],
  [
    /Load key "(.+)": (.+)/,
    (_, [, file, why]) =>
      `the key file ${file} is not usable (${why?.trim()}); give a private key without passphrase in GATEWAY_SSH_KEY_FILE`,
  ],
  [
    /permission denied \(/i,
    () =>
      'the server refuses the key of GATEWAY_SSH_KEY_FILE; add its public half to the repository as a deploy key, read access is enough',
  ],
  [/authentication failed|could not read (username|password)|returned error: 401/i, refusedLogin],
  [
    /returned error: 403/,
    ({ token }) =>
      `the server forbids it (HTTP 403); ${token ? 'give GATEWAY_GIT_TOKEN read access to this repository (of Forgejo: the scope read:repository, and a user who may read it)' : 'give a token with read access in GATEWAY_GIT_TOKEN'}`,
  ],
  [
    /out of memory|cannot allocate memory/i,
    () =>
      'git has not the memory for what it answers; check GATEWAY_REPO, and what is on the way there; tried again by itself',
  ],
  [
    /returned error: 404|repository .*not found|does not appear to be a git repository|not a git repository|invalid gitfile/i,
    noRepository,
  ],
  [
    /returned error: 30\d|redirect/i,
    () =>
      'the address leads elsewhere (a redirect), where no credentials are sent; set GATEWAY_REPO to the final address',
  ],
  [/returned error: (5\d\d|429)/, (_, [, status]) => `the server answers HTTP ${status}; tried again by itself`],
  [
    /could not resolve host(?:name)? ?:? ?([^\s:;]*)/i,
    (_, [, host]) => `the name ${host} is not known here; check GATEWAY_REPO and this machine's DNS`,
  ],
  [
    /wrong version number|unexpected TLS packet/i,
    () => 'the server speaks no TLS at this port; check http or https in GATEWAY_REPO',
  ],
  [
    /certificate|SSL CA cert|error (setting|reading) ca/i,
    (_, { input }) => `its certificate is not trusted (${detail(input)}); give the CA's certificate in GATEWAY_CA_FILE`,
  ],
  [
    /connection (refused|reset|timed out|closed)|failed to connect|couldn't connect|no route to host|network is unreachable|timed? ?out|too slow|empty reply/i,
    unreachable,
  ],
  [
    /bad line length|protocol error|expected (flush|'packfile'|response end)|of (body|length header) (are still expected|were received)|invalid (ls-refs|server) response|pack signature mismatch/i,
    (_, { input }) =>
      `its answer is cut off, or none of a git server (${detail(input)}); check GATEWAY_REPO, and what is on the way there; tried again by itself`,
  ],
  [/hung up|early eof|unexpected disconnect|could not read from remote repository/i, unreachable],
]

const howToBundle = 'make one of the whole branch: git bundle create FILE BRANCH'
const ofBundle: typeof ofMachine = [
  [/invalid gitfile format/, () => `is no git bundle; ${howToBundle}`],
  [/lacks these prerequisite commits/, () => `the bundle holds only a part of the history; ${howToBundle}`],
  [/early eof|index-pack died|unrecognized header|corrupt/i, () => `the bundle is damaged; ${howToBundle}`],
]

/**
 * What to change, for what git said. Undefined if it is nothing that is known; for a git process that spoke to no
 * remote, only what lies with the machine is.
 */
export function explainGit(stderr: string, scene: Scene, remote: boolean): string | undefined {
  const { kind, url } = scene.repository
  // Its words are the address's, not git's.
  const said = kind === 'folder' ? stderr : stderr.replaceAll(url, '')
  const ofFile = kind === 'folder' && url.endsWith('.bundle') ? ofBundle : []
  // What the other machine lacks is not lacking here.
  const own = said.replace(/^remote: .*/gm, '')
  return advise(ofMachine, own, scene) ?? (remote ? advise([...ofFile, ...ofRemote], said, scene) : undefined)
}

function advise(table: typeof ofMachine, said: string, scene: Scene): string | undefined {
  for (const [pattern, advice] of table) {
    const match = pattern.exec(said)
    if (match !== null) return advice(scene, match)
  }
  return undefined
}

/** Characters of a line that people are shown. */
const mostShown = 200

/** The one line of git's or ssh's output that says what was wrong, whatever the other side has put into it. */
export function detail(stderr: string): string {
  // What follows these words says nothing, and what ssh or the server said is before them.
  const [said = '', ...rest] = stderr.split(/^fatal: Could not read from remote repository[\s\S]*/m)
  if (rest.length > 0 && said.trim() === '') return 'the server ended the session'
  const lines = said.split(/[\r\n]/).map((line) => line.replace(/[\p{Cc}\uFFFD]+/gu, ' '))
  const telling = lines.find((line) => /^(fatal|error|ssh|kex_exchange_identification): /.test(line))
  const line = telling ?? lines.find((each) => each.trim() !== '') ?? 'no reason given'
  const words = line.replace(/^(fatal|error): (unable to access '.*?': )?/, '').trim()
  return words.length > mostShown ? `${words.slice(0, mostShown)}…` : words
}

function unreachable(_: Scene, { input }: RegExpExecArray): string {
  return `cannot be reached (${detail(input)}); check GATEWAY_REPO and that the server runs; tried again by itself`
}

function foreignFolder({ home }: Scene, [, folder = '']: RegExpExecArray): string {
  const trust = `git config --file ${shellQuoted(`${home}/.gitconfig`)} --add safe.directory ${shellQuoted(folder)}`
  return `the folder belongs to another user: ${folder}; give it to the gateway's user (chown -R), or, if you trust its owner: ${trust}`
}

function wrongHostKey({ repository, sshKnownHosts }: Scene): string {
  const target = repository.kind === 'ssh' ? `-p ${repository.port} ${repository.host}` : ''
  return `the server's host key is not the one in ${sshKnownHosts}; if it is rightly a new one, compare what ssh-keyscan ${target} prints with the server's own and put it into GATEWAY_SSH_KNOWN_HOSTS`
}

function refusedLogin({ token }: Scene): string {
  return token
    ? 'the server refuses GATEWAY_GIT_TOKEN; give a token that is valid and may read this repository'
    : 'the server wants a login; give a token that may read this repository in GATEWAY_GIT_TOKEN or GATEWAY_GIT_TOKEN_FILE'
}

function noRepository({ repository, token }: Scene): string {
  switch (repository.kind) {
    case 'folder':
      return 'there is no git repository at this path; check GATEWAY_REPO'
    case 'ssh':
      return 'there is no such repository, or the key of GATEWAY_SSH_KEY_FILE may not see it; check both'
    case 'http':
      return token
        ? 'there is no such repository, or GATEWAY_GIT_TOKEN may not see it; check both'
        : 'there is no such repository, or it is private: check GATEWAY_REPO, or give a token in GATEWAY_GIT_TOKEN'
    default:
      return repository satisfies never
  }
}
