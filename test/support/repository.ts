import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a commit does to a file: its content, nothing (null removes it), or content with git's mode; a symlink's is its target. */
export type Change = string | Buffer | null | { readonly mode: '100755' | '120000'; readonly content: string }

/** A work tree, and the bare repository that it pushes to. Disposing removes both. */
export interface Repository extends AsyncDisposable {
  /** The bare repository: what a git server serves, or a path for `GATEWAY_REPO`. */
  readonly bare: string
  readonly work: string
  /** Runs git in the work tree and gives its output without the last newline. */
  git(...args: readonly string[]): Promise<string>
  /** Writes, removes and commits; gives the commit's hash. Nothing else is in the commit. */
  commit(changes: Readonly<Record<string, Change>>, message?: string): Promise<string>
  /** Pushes what the work tree is at. */
  push(options?: { readonly force?: boolean; readonly branch?: string }): Promise<void>
  /** `commit` and `push` in one. */
  publish(changes: Readonly<Record<string, Change>>, message?: string): Promise<string>
}

/** An empty repository; its first commit is the test's. */
export async function createRepository(): Promise<Repository> {
  const root = await mkdtemp(join(tmpdir(), 'gateway-repository-'))
  const bare = join(root, 'repository.git')
  const work = join(root, 'work')
  await git(root, 'init', '--quiet', '--bare', '--initial-branch=main', bare)
  await git(root, 'init', '--quiet', '--initial-branch=main', work)
  const repository: Repository = {
    bare,
    work,
    git: (...args) => git(work, ...args),
    async commit(changes, message = 'Change') {
      for (const [path, change] of Object.entries({ ...brisk(work, changes), ...changes }))
        await apply(join(work, path), change)
      await git(work, 'add', '--all', '--force')
      await git(work, 'commit', '--quiet', '--allow-empty', '--message', message)
      return git(work, 'rev-parse', 'HEAD')
    },
    async push({ force = false, branch = 'main' } = {}) {
      await git(work, 'push', '--quiet', ...(force ? ['--force'] : []), bare, `HEAD:refs/heads/${branch}`)
    },
    async publish(changes, message) {
      const commit = await repository.commit(changes, message)
      await repository.push()
      return commit
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  }
  return repository
}

/** Where a test says nothing of it, nothing is watched after it serves, and what is removed is removed at once. */
function brisk(work: string, changes: Readonly<Record<string, Change>>): Record<string, Change> {
  const path = 'manifests/gateway.yaml'
  if (!('manifests/permissions.yaml' in changes) || existsSync(join(work, path))) return {}
  return { [path]: 'bake: 0s\nprune: { most: 100%, grace: 0s }\n' }
}

async function apply(file: string, change: Change): Promise<void> {
  await rm(file, { recursive: true, force: true })
  if (change === null) return
  await mkdir(dirname(file), { recursive: true })
  if (typeof change === 'string' || Buffer.isBuffer(change)) return writeFile(file, change)
  if (change.mode === '120000') return symlink(change.content, file)
  await writeFile(file, change.content)
  await chmod(file, 0o755)
}

/** git without the machine's or anybody's configuration, and with a name for its commits. */
async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Test',
      GIT_AUTHOR_EMAIL: 'test@example.invalid',
      GIT_COMMITTER_NAME: 'Test',
      GIT_COMMITTER_EMAIL: 'test@example.invalid',
    },
    maxBuffer: 2 ** 26,
  })
  return stdout.replace(/\n$/, '')
}
