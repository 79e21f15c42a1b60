import { execFile } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A commit as a push event lists it. */
export interface LoggedCommit {
  readonly id: string
  readonly message: string
  readonly added: string[]
  readonly removed: string[]
  readonly modified: string[]
}

/** git on a bare repository, as nobody in particular. */
export async function inBare(bare: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', ['--git-dir', bare, ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: bare,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Forge',
      GIT_AUTHOR_EMAIL: 'forge@example.invalid',
      GIT_COMMITTER_NAME: 'Forge',
      GIT_COMMITTER_EMAIL: 'forge@example.invalid',
    },
    maxBuffer: 2 ** 26,
  })
  return stdout.replace(/\n$/, '')
}

/** Pushes by a user (not of this file's own) to a branch that the file `protected` names are refused, as Forgejo words it. */
const guard = `#!/bin/sh
[ -z "$REMOTE_USER" ] && exit 0
branch=\${1#refs/heads/}
grep -qx "$branch" protected 2>/dev/null || exit 0
echo "Forgejo: Not allowed to push to protected branch $branch" >&2
exit 1
`

export async function createBare(bare: string): Promise<void> {
  await mkdir(dirname(bare), { recursive: true })
  await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', bare])
  await inBare(bare, 'config', 'http.receivepack', 'true')
  await inBare(bare, 'config', 'uploadpack.allowFilter', 'true')
  await inBare(bare, 'config', 'uploadpack.allowAnySHA1InWant', 'true')
  const hook = join(bare, 'hooks', 'update')
  await mkdir(dirname(hook), { recursive: true })
  await writeFile(hook, guard)
  await chmod(hook, 0o755)
}

export async function protect(bare: string, branches: readonly string[]): Promise<void> {
  await writeFile(join(bare, 'protected'), branches.map((branch) => `${branch}\n`).join(''))
}

/** All refs, with what annotated tags and branches point at. */
export async function refsOf(bare: string): Promise<Map<string, string>> {
  const lines = (await inBare(bare, 'for-each-ref', '--format=%(refname) %(objectname)')).split('\n')
  return new Map(lines.filter((line) => line !== '').map((line) => [line.split(' ')[0]!, line.split(' ')[1]!]))
}

export async function knows(bare: string, commit: string): Promise<boolean> {
  return inBare(bare, 'cat-file', '-e', `${commit}^{commit}`).then(
    () => true,
    () => false,
  )
}

/** Commits of a range, newest first, `most` of them, and how many there are. */
export async function log(bare: string, range: readonly string[], most: number) {
  const ids = (await inBare(bare, 'rev-list', ...range)).split('\n').filter((line) => line !== '')
  const commits = await Promise.all(ids.slice(0, most).map((id) => describe(bare, id)))
  return { commits, total: ids.length }
}

export async function describe(bare: string, commit: string): Promise<LoggedCommit> {
  const [id = '', ...message] = (await inBare(bare, 'show', '-s', '--format=%H%n%B', commit)).split('\n')
  const changes = (
    await inBare(bare, 'diff-tree', '-r', '--root', '--no-renames', '--name-status', '-m', '--first-parent', id)
  )
    .split('\n')
    .map((line) => line.split('\t'))
  const paths = (kind: string) => changes.filter(([status]) => status === kind).map(([, path = '']) => path)
  return { id, message: `${message.join('\n').trim()}\n`, added: paths('A'), removed: paths('D'), modified: paths('M') }
}

/** Merges two commits and gives the new one, which no ref has yet; undefined where they conflict. */
export async function merge(
  bare: string,
  how: 'merge' | 'squash' | 'fast-forward-only',
  ends: { base: string; head: string; message: string },
) {
  const { base, head, message } = ends
  if (how === 'fast-forward-only') {
    const forward = await inBare(bare, 'merge-base', '--is-ancestor', base, head).then(
      () => true,
      () => false,
    )
    return forward ? head : undefined
  }
  const tree = await inBare(bare, 'merge-tree', '--write-tree', base, head).catch(() => undefined)
  if (tree === undefined) return undefined
  const parents = how === 'merge' ? ['-p', base, '-p', head] : ['-p', base]
  return inBare(bare, 'commit-tree', tree.split('\n')[0]!, ...parents, '-m', message)
}
