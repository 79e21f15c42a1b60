import { access, constants, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Change, Verdict } from '../trust/judge.ts'
import type { SignerList } from '../trust/signers.ts'
import { gitConfig } from './git-environment.ts'
import type { Git } from './mirror.ts'

/** Where a history is read. */
export interface Archive {
  readonly folder: string
  /** git's home, for files of its own. */
  readonly home: string
  readonly git: Git
  /** Folder that paths are relative to, `` for the root; what lies elsewhere is nobody's business. */
  readonly below: string
}

/** More commits than anybody looks through at once. */
export class TooLong extends Error {
  override readonly name = 'TooLong'
}

export const mostCommits = 10_000
/** Commits in one question. */
const atOnce = 100
/** ms */
const quick = 60_000
const long = 10 * 60_000

/** Who changed what, and who signed it, from git itself. Remembers what never changes. */
export class History {
  readonly #archive: Archive
  readonly #merges = new Map<string, readonly string[]>()
  readonly #verdicts = new Map<string, Verdict>()

  constructor(archive: Archive) {
    this.#archive = archive
  }

  /** Commits that `head` has and `base` lacks, newest first, each with the paths that it changed itself. Throws `TooLong`. */
  async changes(base: string, head: string, signal?: AbortSignal): Promise<readonly Change[]> {
    const args = ['log', '--topo-order', `--max-count=${mostCommits + 1}`, '--format=%H %P']
    const raw = ['--raw', '--no-abbrev', '--no-renames', '-r', '-z', head, `^${base}`, '--']
    const commits = readLog(await this.#ask([...args, ...raw], { limit: long }, signal))
    if (commits.length > mostCommits) throw new TooLong(`more than ${mostCommits} commits`)
    const changes: Change[] = []
    for (const { commit, parents, paths } of commits) {
      const isMerge = parents.length > 1
      const all = isMerge ? await this.#own(commit, parents, signal) : paths
      changes.push({ commit, isMerge, paths: this.#within(all) })
    }
    return changes
  }

  #within(paths: readonly string[]): readonly string[] {
    const { below } = this.#archive
    if (below === '') return paths
    return paths.flatMap((path) => (path.startsWith(`${below}/`) ? [path.slice(below.length + 1)] : []))
  }

  /** Whether the mirror has a commit. */
  async knows(commit: string, signal?: AbortSignal): Promise<boolean> {
    const args = ['rev-parse', '--verify', '--quiet', `${commit}^{commit}`]
    return (await this.#ask(args, { answers: [1] }, signal)) !== ''
  }

  /** What git lacks to judge signatures and merges, a line; `` for nothing. */
  async lacking(programs: string): Promise<string> {
    const version = await this.#archive.git(['version'], { limit: quick, signal: undefined })
    const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? []
    if (Number(major) < 2 || (Number(major) === 2 && Number(minor) < 38))
      return `git ${major}.${minor} cannot judge merges; install git 2.38 or newer, or take GATEWAY_ALLOWED_SIGNERS out`
    const places = programs.split(delimiter).map((folder) => access(join(folder, 'ssh-keygen'), constants.X_OK))
    const found = (await Promise.allSettled(places)).some(({ status }) => status === 'fulfilled')
    return found
      ? ''
      : 'ssh-keygen is not installed, and signatures cannot be checked without it; install openssh-client'
  }

  /** The newest commit of the branch itself, from `head` on, that is signed. Throws `TooLong`. */
  async newestSigned(head: string, signers: SignerList, signal?: AbortSignal): Promise<string | undefined> {
    for (let skip = 0; skip < mostCommits; skip += atOnce) {
      const args = ['rev-list', '--first-parent', `--skip=${skip}`, `--max-count=${atOnce}`, head, '--']
      const commits = (await this.#ask(args, {}, signal)).split('\n').filter((line) => line !== '')
      const verdicts = await this.verdicts(commits, signers, signal)
      const found = commits.find((commit) => verdicts.get(commit) === 'G')
      if (found !== undefined || commits.length < atOnce) return found
    }
    throw new TooLong(`none of the last ${mostCommits} commits is signed`)
  }

  /** What git says of the signatures of commits. Each is looked at once for the same signers. */
  async verdicts(
    commits: readonly string[],
    signers: SignerList,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Verdict>> {
    const key = (commit: string) => `${signers.digest} ${commit}`
    const unknown = commits.filter((commit) => !this.#verdicts.has(key(commit)))
    for (let at = 0; at < unknown.length; at += atOnce) {
      const some = await this.#verify(unknown.slice(at, at + atOnce), signers, signal)
      for (const [commit, verdict] of some) this.#verdicts.set(key(commit), verdict)
    }
    const answer = new Map(commits.map((commit) => [commit, this.#verdicts.get(key(commit)) ?? 'E'] as const))
    if (this.#verdicts.size > 4 * mostCommits) this.#verdicts.clear()
    return answer
  }

  async #verify(commits: readonly string[], { text, digest }: SignerList, signal?: AbortSignal) {
    const { home } = this.#archive
    // A copy of its own, so that what is asked is what was read.
    const file = join(home, `signers-${digest}`)
    await writeFile(file, text, { mode: 0o600 })
    const settings = { 'gpg.ssh.allowedSignersFile': file, 'gpg.program': 'false', 'gpg.x509.program': 'false' }
    const args = ['log', '--no-walk=unsorted', '--no-patch', '--format=%H %G?', ...commits, '--']
    const env = { ...gitConfig(settings), TMPDIR: home }
    const said = await this.#ask(args, { limit: long, env }, signal)
    const verdicts = new Map(said.split('\n').flatMap((line) => readVerdict(line)))
    for (const commit of await this.#foreign(
      commits.filter((one) => verdicts.get(one) !== 'G'),
      signal,
    ))
      verdicts.set(commit, 'gpg')
    return verdicts
  }

  /** Which of these have a signature that is none of ssh. */
  async #foreign(commits: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    if (commits.length === 0) return []
    const args = ['log', '--no-walk=unsorted', '--no-patch', '-z', '--format=raw', ...commits, '--']
    const heads = (await this.#ask(args, {}, signal)).split('\0').map((one) => one.split('\n\n', 1)[0] ?? '')
    const isForeign = (header: string) => /^gpgsig(-sha256)? -----BEGIN (PGP|SIGNED) /m.test(header)
    return heads.filter(isForeign).flatMap((header) => /^commit ([0-9a-f]+)/.exec(header)?.[1] ?? [])
  }

  /** Paths of a merge that git would have merged otherwise, or not at all. */
  async #own(commit: string, parents: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const known = this.#merges.get(commit)
    if (known !== undefined) return known
    const own = await this.#compareMerge(commit, parents, signal)
    if (this.#merges.size > mostCommits) this.#merges.clear()
    this.#merges.set(commit, own)
    return own
  }

  async #compareMerge(commit: string, parents: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
    const [ours = '', theirs = '', ...more] = parents
    const ofOurs = await this.#difference(ours, commit, signal)
    const common = await this.#ask(['merge-base', ours, theirs], { answers: [1] }, signal)
    // git has no merge of its own to compare with: then all that is not of the branch itself is the merge's doing.
    if (more.length > 0 || common === '') return [...ofOurs.keys()]
    const args = ['merge-tree', '--write-tree', '--no-messages', '--name-only', '-z', ours, theirs]
    const [tree = '', ...conflicts] = (await this.#ask(args, { answers: [1] }, signal)).split('\0')
    const differs = [...(await this.#difference(tree, commit, signal)).keys()]
    const carried = carriedPaths(ofOurs, await this.#difference(theirs, commit, signal))
    return [...new Set([...differs, ...carried, ...conflicts.filter((path) => path !== '')])]
  }

  /** Paths that two trees do not have alike, each with git's letter for how: `A` where the first lacks it. */
  async #difference(from: string, to: string, signal?: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const args = ['diff-tree', '-r', '-z', '--name-status', '--no-renames', `${from}^{tree}`, `${to}^{tree}`, '--']
    const words = (await this.#ask(args, {}, signal)).split('\0')
    return new Map(words.flatMap((word, at) => (at % 2 === 1 ? [[word, words[at - 1] ?? ''] as const] : [])))
  }

  #ask(args: readonly string[], more: Partial<Parameters<Git>[1]>, signal?: AbortSignal): Promise<string> {
    const { git, folder } = this.#archive
    return git(args, { folder, limit: quick, ...more, signal })
  }
}

/**
 * What git moved from one path to another because a side renamed it: neither parent has it so, and one has no such path. What was
 * signed for one path is not for another, nor is a path signed by who renamed what somebody else changed.
 */
function carriedPaths(ours: ReadonlyMap<string, string>, theirs: ReadonlyMap<string, string>): readonly string[] {
  return [...ours.keys()].filter((path) => theirs.has(path) && [ours.get(path), theirs.get(path)].includes('A'))
}

function readVerdict(line: string): readonly (readonly [string, Verdict])[] {
  const [, commit, verdict] = /^([0-9a-f]{40,64}) (\S)$/.exec(line) ?? []
  return commit === undefined || verdict === undefined ? [] : [[commit, verdict]]
}

interface Logged {
  readonly commit: string
  readonly parents: readonly string[]
  readonly paths: readonly string[]
}

/** NUL ends everything: `hash parents`, then for each path `:modes oids letter` and the path. */
function readLog(text: string): readonly Logged[] {
  const commits: { commit: string; parents: readonly string[]; paths: string[] }[] = []
  const tokens = text.split('\0')[Symbol.iterator]()
  for (const token of tokens) {
    const word = token.trim()
    if (word.startsWith(':')) commits.at(-1)?.paths.push(tokens.next().value ?? '')
    else if (word !== '') {
      const [commit = '', ...parents] = word.split(' ')
      commits.push({ commit, parents, paths: [] })
    }
  }
  return commits
}
