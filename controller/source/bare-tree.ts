import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Tree } from '../desired.ts'
import { readBlobs } from './git-blobs.ts'
import { gitEnvironment, type Inherited } from './git-environment.ts'
import { type Git, Mirror } from './mirror.ts'

/** Bytes that a listing may have: a few trees that name each other can list more files than any memory holds. */
const listingLimit = 64 * 2 ** 20

/** What is read of a repository, whoever may have written to it. */
export interface BareTree {
  /** The bare repository, or the `.git` of another. */
  readonly folder: string
  /** Folder of the tree that is read, `` for its root. */
  readonly path: string
  readonly inherited: Inherited
}

/** A listing that is longer than anybody needs. */
export class TreeTooLarge extends Error {
  override readonly name = 'TreeTooLarge'
  constructor() {
    super(`the list of its files has more than ${listingLimit / 2 ** 20} MiB`)
  }
}

/** git on one bare repository, with no credentials and with an end to what it may print. Throws `TreeTooLarge`, or what git says. */
export function createBareGit({ folder, inherited }: Omit<BareTree, 'path'>): Git {
  const own = { ...gitEnvironment('/nonexistent', inherited), GIT_DIR: folder }
  return async (args, { limit, signal, answers = [], env }) => {
    const bounds = { maxBuffer: listingLimit, timeout: limit, killSignal: 'SIGKILL' as const }
    const options = { cwd: folder, env: { ...own, ...env }, ...bounds, ...(signal === undefined ? {} : { signal }) }
    try {
      return (await promisify(execFile)('git', [...args], options)).stdout
    } catch (error) {
      if (error instanceof RangeError) throw new TreeTooLarge()
      const { code, stdout } = failureOf(error)
      if (typeof code === 'number' && answers.includes(code)) return stdout
      throw error
    }
  }
}

/** What git said before it failed. */
export function failureOf(error: unknown) {
  if (!(error instanceof Error)) return { code: undefined, stdout: '', isKilled: false }
  const code = 'code' in error ? error.code : undefined
  const stdout = 'stdout' in error && typeof error.stdout === 'string' ? error.stdout : ''
  return { code, stdout, isKilled: 'killed' in error && error.killed === true }
}

/** A commit, by its hash. */
export async function openBareTree(options: BareTree, commit: string): Promise<Tree> {
  const { folder, path, inherited } = options
  const files = await new Mirror(folder, createBareGit(options)).list(commit, path)
  const env = { ...gitEnvironment('/nonexistent', inherited), GIT_DIR: folder }
  return { commit, list: async () => files, read: (oids, signal) => readBlobs(oids, env, signal) }
}
