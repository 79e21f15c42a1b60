import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Tree } from '../desired.ts'
import { readBlobs } from './git-blobs.ts'
import { gitEnvironment, type Inherited } from './git-environment.ts'
import { type Git, Mirror } from './mirror.ts'

const listingLimit = 64 * 2 ** 20
/** ms */
const quick = 10_000

/**
 * A commit of the repository that a folder on disk belongs to, from that folder down: `HEAD`, a branch, a hash. Throws what git
 * says where there is no such repository or revision.
 */
export async function openCheckout(folder: string, revision: string, inherited: Inherited): Promise<Tree> {
  const { ask, commitOf, directory, mirror, environment } = await openRepository(folder, inherited)
  const commit = await commitOf(revision)
  const prefix = (await ask('--show-prefix')).replace(/\/$/, '')
  return {
    commit,
    list: () => mirror.list(commit, prefix),
    read: (oids, signal) => readBlobs(oids, { ...environment, GIT_DIR: directory }, signal),
  }
}

/** Plans that commits of that repository approve, of those that `to` has and `from` lacks. Throws what git says. */
export async function approvedSince(
  folder: string,
  { from, to }: { readonly from: string; readonly to: string },
  inherited: Inherited,
): Promise<readonly string[]> {
  const { commitOf, mirror } = await openRepository(folder, inherited)
  return (await mirror.path(await commitOf(from), await commitOf(to))).approves
}

async function openRepository(folder: string, inherited: Inherited) {
  const environment = gitEnvironment('/nonexistent', inherited)
  const git: Git = async (args, { folder: repository, limit, signal }) => {
    const env = repository === undefined ? environment : { ...environment, GIT_DIR: repository }
    const options = {
      cwd: folder,
      env,
      maxBuffer: listingLimit,
      timeout: limit,
      ...(signal === undefined ? {} : { signal }),
    }
    return (await promisify(execFile)('git', [...args], options)).stdout
  }
  const ask = async (...args: readonly string[]) =>
    (await git(['rev-parse', ...args], { limit: quick, signal: undefined })).replace(/\n$/, '')
  const directory = await ask('--absolute-git-dir')
  const commitOf = (revision: string) => ask('--verify', '--end-of-options', `${revision}^{commit}`)
  return { ask, commitOf, directory, mirror: new Mirror(directory, git), environment }
}
