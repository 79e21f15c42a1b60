import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Tree } from '../desired.ts'
import { createBareGit, openBareTree } from './bare-tree.ts'
import { gitEnvironment, type Inherited } from './git-environment.ts'
import { Mirror } from './mirror.ts'

/** ms */
const quick = 10_000

/**
 * A commit of the repository that a folder on disk belongs to, from that folder down: `HEAD`, a branch, a hash. Throws what git
 * says where there is no such repository or revision.
 */
export async function openCheckout(folder: string, revision: string, inherited: Inherited): Promise<Tree> {
  const { ask, commitOf, directory } = await openRepository(folder, inherited)
  const path = (await ask('--show-prefix')).replace(/\/$/, '')
  return openBareTree({ folder: directory, path, inherited }, await commitOf(revision))
}

/** Plans that commits of that repository approve, of those that `to` has and `from` lacks. Throws what git says. */
export async function approvedSince(
  folder: string,
  { from, to }: { readonly from: string; readonly to: string },
  inherited: Inherited,
): Promise<readonly string[]> {
  const { commitOf, directory } = await openRepository(folder, inherited)
  const mirror = new Mirror(directory, createBareGit({ folder: directory, inherited }))
  return (await mirror.path(await commitOf(from), await commitOf(to))).approves
}

async function openRepository(folder: string, inherited: Inherited) {
  const options = { cwd: folder, env: gitEnvironment('/nonexistent', inherited), timeout: quick }
  const ask = async (...args: readonly string[]) =>
    (await promisify(execFile)('git', ['rev-parse', ...args], options)).stdout.replace(/\n$/, '')
  const commitOf = (revision: string) => ask('--verify', '--end-of-options', `${revision}^{commit}`)
  return { ask, commitOf, directory: await ask('--absolute-git-dir') }
}
