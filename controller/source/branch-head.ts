import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { nearest } from '../compile/nearest.ts'
import { type Scene, SourceDown } from './git-fault.ts'
import type { Git } from './mirror.ts'

export interface Branch {
  readonly scene: Scene
  readonly branch: string
  /** ms that each question may take. */
  readonly limit: number
}

/** Bytes of memory that git may fill with what a repository says of its branches: some millions of them. */
const memory = 2 ** 30

/** The commit that a branch of the repository is at. Throws `SourceDown`. */
export async function findHead(git: Git, place: Branch, signal: AbortSignal): Promise<string> {
  const { scene, branch } = place
  const { label } = scene.repository
  const head = (await listHeads(git, place, { pattern: branch, signal })).get(branch)
  if (head !== undefined) return head
  const heads = await listHeads(git, place, { pattern: '*', signal })
  const pushed = heads.get(branch)
  if (pushed !== undefined) return pushed
  const branches = [...heads.keys()]
  if (branches.length === 0) {
    if (await isNoGit(git, place, signal))
      throw new SourceDown(
        `${label}: the server answers, but not as a git server does (with a page to log in?); set GATEWAY_REPO to the address that git clone takes`,
      )
    throw new SourceDown(`${label}: has no commit yet; push one to ${branch}`)
  }
  const guess = nearest(branch, branches)
  const others = guess === undefined ? `there are: ${branches.slice(0, 5).join(', ')}` : `did you mean ${guess}?`
  throw new SourceDown(`${label}: has no branch ${branch} (${others}); push it or set GATEWAY_BRANCH`)
}

interface Question {
  readonly pattern: string
  readonly env?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Branch → commit. */
async function listHeads(git: Git, { scene, limit }: Branch, { pattern, env, signal }: Question) {
  const args = ['ls-remote', '--', scene.repository.url, `refs/heads/${pattern}`]
  // The repository's own git runs here, too, where it is a folder, and maps its packs.
  const bounds = scene.repository.kind === 'folder' ? {} : { memory }
  const listing = await git(args, { remote: true, limit, signal, ...bounds, ...(env === undefined ? {} : { env }) })
  return new Map(
    listing.split('\n').flatMap((line) => {
      const [, oid, branch] = /^([0-9a-f]{40,64})\trefs\/heads\/(.+)$/.exec(line) ?? []
      return oid === undefined || branch === undefined ? [] : [[branch, oid] as const]
    }),
  )
}

/** git takes any page for the listing of a repository on a plain web server; what a git server says comes in packets. */
async function isNoGit(git: Git, place: Branch, signal: AbortSignal): Promise<boolean> {
  if (place.scene.repository.kind !== 'http') return false
  const file = join(place.scene.home, 'packets')
  try {
    await listHeads(git, place, { pattern: '*', env: { GIT_TRACE_PACKET: file }, signal })
    return (await readFile(file, 'utf8').catch(() => '')) === ''
  } finally {
    await rm(file, { force: true })
  }
}
