import { createHmac } from 'node:crypto'
import { describe, inBare, log, refsOf } from './forge-git.ts'
import { rows } from './forge-rows.ts'
import { type ForgeState, newDelivery, now, type Pull, type Repo, type User } from './forge-state.ts'

/** One delivery, whatever became of it: it is never tried again. */
export interface Delivery {
  readonly id: string
  readonly event: string
  readonly type: string
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** HTTP status; 0 if nobody answered. */
  status: number
}

const none = '0'.repeat(40)
const payloadCommits = 15
const newBranchCommits = 10

/** `X-Forgejo-Event` and `X-Forgejo-Event-Type`, and the name under which hooks subscribe to it. */
const kinds = {
  push: ['push', 'push', 'push'],
  create: ['create', 'create', 'create'],
  delete: ['delete', 'delete', 'delete'],
  pull: ['pull_request', 'pull_request', 'pull_request_only'],
  sync: ['pull_request', 'pull_request_sync', 'pull_request_sync'],
  comment: ['issue_comment', 'pull_request_comment', 'pull_request_comment'],
  approved: ['pull_request_approved', 'pull_request_review_approved', 'pull_request_review'],
  rejected: ['pull_request_rejected', 'pull_request_review_rejected', 'pull_request_review'],
  reviewed: ['pull_request_comment', 'pull_request_review_comment', 'pull_request_review'],
} as const
export type Kind = keyof typeof kinds

/** Tells hooks what happens, one delivery after the other. */
export interface Hooks {
  readonly deliveries: Delivery[]
  /** False loses all deliveries, as a forge that cannot reach the gateway does. */
  reaches: boolean
  say(repo: Repo, kind: Kind, payload: Readonly<Record<string, unknown>>): void
  pull(
    repo: Repo,
    pull: Pull,
    what: { readonly kind: Kind; readonly action: string; readonly sender: User; readonly more?: object },
  ): void
  /** A push of nothing, as the button in the forge makes it. */
  test(repo: Repo, hookId: number, sender: User): Promise<void>
  /** Looks at the repository's refs, and tells what changed since the last look. */
  notice(repo: Repo, pusher: User): Promise<void>
  /** Resolves once all that was said has been delivered. */
  rest(): Promise<void>
}

export function createHooks(state: ForgeState): Hooks {
  const show = rows(state)
  let queue = Promise.resolve()
  let looks = Promise.resolve()

  const hooks: Hooks = {
    deliveries: [],
    reaches: true,
    say(repo, kind, payload) {
      const [event, type, subscription] = kinds[kind]
      const wanted = repo.hooks.filter(
        ({ active, events }) =>
          active &&
          (events.includes(subscription) || (events.includes('pull_request') && type.startsWith('pull_request'))),
      )
      const body = JSON.stringify(payload, null, 2)
      for (const hook of wanted) queue = queue.then(() => deliver(hooks, hook, { event, type, body }))
    },
    pull(repo, pull, { kind, action, sender, more = {} }) {
      hooks.say(repo, kind, {
        action,
        number: pull.number,
        pull_request: show.pull(repo, pull),
        requested_reviewer: null,
        repository: show.repo(repo),
        sender: show.user(sender),
        commit_id: '',
        review: null,
        ...more,
      })
    },
    async test(repo, hookId, sender) {
      const hook = repo.hooks.find(({ id }) => id === hookId)
      const tip = repo.refs.get('refs/heads/main') ?? none
      if (hook === undefined || tip === none) return
      const commit = { ...(await describe(repo.bare, tip)), added: null, removed: null, modified: null }
      const body = JSON.stringify(
        {
          ref: 'refs/heads/main',
          before: tip,
          after: tip,
          commits: [commit],
          total_commits: 1,
          ...people(repo, sender),
        },
        null,
        2,
      )
      queue = queue.then(() => deliver(hooks, hook, { event: 'push', type: 'push', body }))
    },
    notice(repo, pusher) {
      looks = looks.then(() => look(repo, pusher))
      return looks
    },
    rest: () => looks.then(() => queue),
  }

  const people = (repo: Repo, sender: User) => ({
    repository: show.repo(repo),
    pusher: show.user(sender),
    sender: show.user(sender),
  })

  async function look(repo: Repo, pusher: User): Promise<void> {
    const before = repo.refs
    const after = await refsOf(repo.bare)
    repo.refs = after
    const names = [...new Set([...before.keys(), ...after.keys()])].filter((name) => !name.startsWith('refs/pull/'))
    for (const name of names) {
      const [was, is] = [before.get(name), after.get(name)]
      if (was !== is) await tell(repo, { name, was, is, pusher })
    }
  }

  async function tell(
    repo: Repo,
    change: { name: string; was: string | undefined; is: string | undefined; pusher: User },
  ) {
    const { name, was, is, pusher } = change
    const kind = name.startsWith('refs/tags/') ? 'tag' : 'branch'
    const short = { ref: name, ref_type: kind }
    // A deleted branch is no push, a moved tag is a new one.
    const old = kind === 'tag' && is !== undefined ? undefined : was
    if (is !== undefined && old === undefined && kind === 'branch')
      hooks.say(repo, 'create', { ...short, sha: is, ...people(repo, pusher) })
    if (is !== undefined || kind === 'tag') await tellPush(repo, { name, was: old, is, pusher })
    if (is !== undefined && old === undefined && kind === 'tag')
      hooks.say(repo, 'create', { ...short, sha: is, ...people(repo, pusher) })
    if (is === undefined) hooks.say(repo, 'delete', { ...short, pusher_type: 'user', ...people(repo, pusher) })
    if (is !== undefined && kind === 'branch') await synchronise(repo, name.replace('refs/heads/', ''), pusher)
  }

  async function tellPush(
    repo: Repo,
    { name, was, is, pusher }: { name: string; was: string | undefined; is: string | undefined; pusher: User },
  ) {
    const isBranch = name.startsWith('refs/heads/')
    const others = [...repo.refs]
      .filter(([other]) => other !== name && other.startsWith('refs/heads/'))
      .map(([, sha]) => `^${sha}`)
    const range = is === undefined || !isBranch ? undefined : was === undefined ? [is, ...others] : [is, `^${was}`]
    const { commits, total } =
      range === undefined
        ? { commits: [], total: 0 }
        : await log(repo.bare, range, was === undefined ? newBranchCommits : payloadCommits)
    const shown = (one: (typeof commits)[number]) => ({
      ...one,
      url: '',
      author: {},
      committer: {},
      verification: null,
    })
    hooks.say(repo, 'push', {
      ref: name,
      before: was ?? none,
      after: is ?? none,
      compare_url: `${state.url}/`,
      commits: commits.map(shown),
      total_commits: was === undefined ? Math.min(total, newBranchCommits) : total,
      head_commit: is === undefined ? null : shown(await describe(repo.bare, is)),
      ...people(repo, pusher),
    })
  }

  /** The head of each open pull request from this branch moves with it. */
  async function synchronise(head: Repo, branch: string, pusher: User): Promise<void> {
    for (const base of state.repos)
      for (const pull of base.pulls) {
        const tip = head.refs.get(`refs/heads/${branch}`)
        if (pull.state !== 'open' || pull.head.repo !== head || pull.head.branch !== branch) continue
        if (tip === undefined || tip === pull.tip) continue
        await setHead(base, pull, tip)
        const dismisses = base.protections.some((one) => one.branch === pull.base && one.dismissesStale)
        for (const review of pull.reviews) if (dismisses && review.state === 'APPROVED') review.dismissed = true
        hooks.pull(base, pull, { kind: 'sync', action: 'synchronized', sender: pusher })
      }
  }
  return hooks
}

/** Makes a commit the pull request's head, to be had from the base repository also where it comes from a fork. */
export async function setHead(base: Repo, pull: Pull, tip: string): Promise<void> {
  const ref = `refs/pull/${pull.number}/head`
  if (pull.head.repo === base) await inBare(base.bare, 'update-ref', ref, tip)
  else
    await inBare(
      base.bare,
      'fetch',
      '--quiet',
      '--no-tags',
      pull.head.repo.bare,
      `+${pull.head.branch === '' ? 'HEAD' : `refs/heads/${pull.head.branch}`}:${ref}`,
    )
  pull.tip = tip
  pull.checkedAt = Date.now() + 200
  pull.updated = now()
}

async function deliver(
  { deliveries, reaches }: Hooks,
  hook: Repo['hooks'][number],
  { event, type, body }: { event: string; type: string; body: string },
): Promise<void> {
  const signature = hook.secret === '' ? '' : createHmac('sha256', hook.secret).update(body).digest('hex')
  const sha1 = hook.secret === '' ? '' : createHmac('sha1', hook.secret).update(body).digest('hex')
  const id = newDelivery()
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': 'Go-http-client/1.1',
    'x-hub-signature-256': `sha256=${signature}`,
    'x-hub-signature': `sha1=${sha1}`,
    ...(hook.authorization === '' ? {} : { authorization: hook.authorization }),
  }
  for (const family of ['forgejo', 'gitea', 'gogs', 'github'])
    Object.assign(headers, {
      [`x-${family}-delivery`]: id,
      [`x-${family}-event`]: event,
      [`x-${family}-event-type`]: type,
      ...(family === 'github' ? {} : { [`x-${family}-signature`]: signature }),
    })
  const delivery: Delivery = { id, event, type, body, headers, status: 0 }
  deliveries.push(delivery)
  if (!reaches) return
  const answer = await fetch(hook.url, { method: 'POST', body, headers, signal: AbortSignal.timeout(5_000) }).catch(
    () => undefined,
  )
  await answer?.arrayBuffer().catch(() => undefined)
  delivery.status = answer?.status ?? 0
}
