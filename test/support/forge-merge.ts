import { inBare, merge } from './forge-git.ts'
import type { Hooks } from './forge-hooks.ts'
import { atLeast, now, type Protection, type Pull, type Repo, rightOf, statusesOf, type User } from './forge-state.ts'

/** An answer that is no success, in the forge's words. */
export class Refuse extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** `*` in a pattern also crosses slashes. */
function matches(pattern: string, context: string): boolean {
  return new RegExp(
    `^${pattern
      .split('*')
      .map((part) => RegExp.escape(part))
      .join('.*')}$`,
  ).test(context)
}

/** What forbids to merge now, in Forgejo's words and order. */
function obstacle(repo: Repo, pull: Pull): string | undefined {
  const protection = repo.protections.find(({ branch }) => branch === pull.base)
  if (protection === undefined) return undefined
  if (protection.checks && !passes(repo, pull, protection)) return 'Not all required status checks successful'
  const counted = pull.reviews.filter(({ official, dismissed }) => official && !dismissed)
  const approvers = new Set(counted.filter(({ state }) => state === 'APPROVED').map(({ user }) => user.id))
  if (approvers.size < protection.approvals) return 'Does not have enough approvals'
  if (protection.blocksOnRejection && counted.some(({ state }) => state === 'REQUEST_CHANGES'))
    return 'There are requested changes'
  return undefined
}

/** Nothing but success passes; a required pattern that no status matches is pending. */
function passes(repo: Repo, { tip }: Pull, { contexts }: Protection): boolean {
  const statuses = statusesOf(repo, tip)
  return contexts.every((pattern) => {
    const found = statuses.filter(({ context }) => matches(pattern, context))
    return found.length > 0 && found.every(({ state }) => state === 'success')
  })
}

export interface MergeQuestion {
  readonly by: User
  readonly how: string
  readonly head?: string
  readonly deletes: boolean
  readonly waits: boolean
}

/** Merges, or queues; throws `Refuse`. Gives the HTTP status. */
export async function mergePull(repo: Repo, pull: Pull, hooks: Hooks, question: MergeQuestion): Promise<number> {
  const { by, how, head, deletes, waits } = question
  if (pull.state === 'closed') throw new Refuse(pull.merge === undefined ? 404 : 405, 'The PR is already merged')
  if (head !== undefined && head !== '' && head !== pull.tip) throw new Refuse(409, 'head out of date')
  const protection = repo.protections.find(({ branch }) => branch === pull.base)
  if (protection?.mergers !== undefined && !protection.mergers.includes(by.login))
    throw new Refuse(405, 'User not allowed to merge PR')
  if (/^(WIP:|\[WIP\])/i.test(pull.title)) throw new Refuse(405, 'Work in progress PRs cannot be merged')
  const why = obstacle(repo, pull)
  if (waits && why !== undefined) {
    pull.queued = { by, how, deletes }
    return 201
  }
  if (Date.now() < pull.checkedAt) throw new Refuse(405, 'Please try again later')
  if (why !== undefined) throw new Refuse(405, why)
  await carryOut(repo, pull, hooks, question)
  return 200
}

/** Merges what was queued and is no longer held up. */
export async function mergeQueued(repo: Repo, hooks: Hooks): Promise<void> {
  for (const pull of repo.pulls) {
    if (pull.state !== 'open' || pull.queued === undefined || obstacle(repo, pull) !== undefined) continue
    await carryOut(repo, pull, hooks, { ...pull.queued, waits: false })
  }
}

async function carryOut(repo: Repo, pull: Pull, hooks: Hooks, { by, how, deletes }: MergeQuestion): Promise<void> {
  const ref = `refs/heads/${pull.base}`
  const base = repo.refs.get(ref)
  if (base === undefined) throw new Refuse(404, 'the base branch is gone')
  const style = how === 'squash' || how === 'fast-forward-only' ? how : 'merge'
  const title =
    style === 'squash'
      ? `${pull.title} (#${pull.number})`
      : `Merge pull request '${pull.title}' (#${pull.number}) from ${pull.head.branch} into ${pull.base}`
  const sha = await merge(repo.bare, style, { base, head: pull.tip, message: title })
  if (sha === undefined) throw new Refuse(405, 'Please try again later')
  const at = now()
  Object.assign(pull, { state: 'closed', merge: { sha, by, at }, updated: at, queued: undefined })
  // The forge tells of the pull request first, and then of the push that it was.
  hooks.pull(repo, pull, { kind: 'pull', action: 'closed', sender: by })
  await inBare(repo.bare, 'update-ref', ref, sha, base)
  if (deletes && atLeast(rightOf(pull.head.repo, by), 'write')) {
    await hooks.notice(repo, by)
    await inBare(pull.head.repo.bare, 'update-ref', '-d', `refs/heads/${pull.head.branch}`)
    await hooks.notice(pull.head.repo, by)
  }
  await hooks.notice(repo, by)
}
