import { z } from 'zod'
import { refsOf } from './forge-git.ts'
import { type Hooks, setHead } from './forge-hooks.ts'
import { mergePull, mergeQueued, Refuse } from './forge-merge.ts'
import { ok, type Route, repoPath, route } from './forge-route.ts'
import { rows } from './forge-rows.ts'
import { atLeast, type ForgeState, now, type Pull, rightOf } from './forge-state.ts'

/** Pull requests, and what is said of them. */
export function pullRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewPull = z.object({ title: z.string(), head: z.string(), base: z.string(), body: z.string().default('') })
  const PullChange = z.object({
    title: z.string().optional(),
    body: z.string().optional(),
    state: z.enum(['open', 'closed']).optional(),
  })
  const NewMerge = z.object({
    Do: z.string(),
    head_commit_id: z.string().optional(),
    merge_when_checks_succeed: z.boolean().default(false),
    delete_branch_after_merge: z.boolean().default(false),
  })
  return [
    route(`GET ${repoPath}/pulls`, 'repository', 'read', ({ repo, query, user }) => {
      const wanted = query.get('state') ?? 'open'
      const found = repo.pulls.filter((one) => wanted === 'all' || one.state === wanted)
      const newest = query.get('sort') === 'recentupdate' ? 'updated' : 'created'
      const sorted = found.toSorted((a, b) => b[newest].localeCompare(a[newest]) || b.number - a.number)
      return ok(sorted.map((one) => show.pull(repo, one, user)))
    }),
    route(`GET ${repoPath}/pulls/:number`, 'repository', 'read', ({ repo, pull, user }) =>
      ok(show.pull(repo, pull, user)),
    ),
    route(`POST ${repoPath}/pulls`, 'repository', 'read', async ({ repo, body, user }) => {
      const { title, head, base, body: text } = NewPull.parse(body)
      const [owner, branch] = head.includes(':') ? [head.split(':')[0]!, head.split(':')[1]!] : [repo.owner.login, head]
      const from = state.repos.find((one) => one.owner.login === owner && (one === repo || one.parent === repo))
      const tip = from === undefined ? undefined : (await refsOf(from.bare)).get(`refs/heads/${branch}`)
      if (from === undefined || tip === undefined || !repo.refs.has(`refs/heads/${base}`))
        throw new Refuse(404, 'branch does not exist')
      const times = { created: now(), updated: now(), checkedAt: 0 }
      const number = repo.pulls.length + 1
      const pull: Pull = {
        id: state.next(),
        number,
        user,
        title,
        body: text,
        state: 'open',
        base,
        head: { repo: from, branch },
        tip,
        reviews: [],
        ...times,
      }
      repo.pulls.push(pull)
      await setHead(repo, pull, tip)
      hooks.pull(repo, pull, { kind: 'pull', action: 'opened', sender: user })
      return ok(show.pull(repo, pull, user), 201)
    }),
    route(`PATCH ${repoPath}/pulls/:number`, 'repository', 'read', ({ repo, pull, body, user }) => {
      if (user !== pull.user && !atLeast(rightOf(repo, user), 'write')) throw new Refuse(403, 'not allowed')
      const change = PullChange.parse(body)
      const action =
        change.state === undefined || change.state === pull.state
          ? 'edited'
          : change.state === 'open'
            ? 'reopened'
            : 'closed'
      Object.assign(pull, change, { updated: now() })
      hooks.pull(repo, pull, { kind: 'pull', action, sender: user })
      return ok(show.pull(repo, pull, user), 201)
    }),
    route(`POST ${repoPath}/pulls/:number/merge`, 'repository', 'write', async ({ repo, pull, body, user }) => {
      const asked = NewMerge.parse(body)
      const question = {
        by: user,
        how: asked.Do,
        deletes: asked.delete_branch_after_merge,
        waits: asked.merge_when_checks_succeed,
      }
      return { status: await mergePull(repo, pull, hooks, { ...question, head: asked.head_commit_id }) }
    }),
  ]
}

/** Reviews and comments. */
export function sayRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewReview = z.object({
    event: z.enum(['APPROVED', 'REQUEST_CHANGES', 'COMMENT']),
    body: z.string().default(''),
    commit_id: z.string().default(''),
  })
  const Said = z.object({ body: z.string() })
  const kinds = { APPROVED: 'approved', REQUEST_CHANGES: 'rejected', COMMENT: 'reviewed' } as const
  const reviewOf = (pull: Pull, id: string | undefined) => {
    const review = pull.reviews.find((one) => `${one.id}` === id)
    if (review === undefined) throw new Refuse(404, 'review does not exist')
    return review
  }
  return [
    route(`GET ${repoPath}/pulls/:number/reviews`, 'repository', 'read', ({ repo, pull }) =>
      ok(pull.reviews.map((one) => show.review(repo, pull.number, one))),
    ),
    route(`POST ${repoPath}/pulls/:number/reviews`, 'repository', 'read', async ({ repo, pull, body, user }) => {
      const { event, body: text, commit_id } = NewReview.parse(body)
      if (event !== 'COMMENT' && user === pull.user)
        throw new Refuse(422, 'approve or reject your own pull is not allowed')
      if (event !== 'APPROVED' && text.trim() === '') throw new Refuse(422, `review event ${event} requires a body`)
      const official = event !== 'COMMENT' && atLeast(rightOf(repo, user), 'write')
      // An approval lifts what the same person said before; a comment lifts nothing.
      for (const older of pull.reviews)
        if (event !== 'COMMENT' && older.user === user && older.official)
          Object.assign(older, { official: false, dismissed: true })
      const said = { state: event, body: text, commit: commit_id || pull.tip, official, dismissed: false, at: now() }
      const review = { id: state.next(), user, ...said }
      pull.reviews.push(review)
      pull.updated = now()
      const more = { review: { type: `pull_request_review_${kinds[event]}`, content: text } }
      hooks.pull(repo, pull, { kind: kinds[event], action: 'reviewed', sender: user, more })
      await mergeQueued(repo, hooks)
      return ok(show.review(repo, pull.number, review))
    }),
    route(
      `DELETE ${repoPath}/pulls/:number/reviews/:id`,
      'repository',
      'read',
      async ({ repo, pull, params, user }) => {
        const review = reviewOf(pull, params.id)
        if (review.user !== user && !atLeast(rightOf(repo, user), 'admin')) throw new Refuse(403, 'not allowed')
        pull.reviews.splice(pull.reviews.indexOf(review), 1)
        await mergeQueued(repo, hooks)
        return { status: 204 }
      },
    ),
    route(
      `POST ${repoPath}/pulls/:number/reviews/:id/dismissals`,
      'repository',
      'admin',
      async ({ repo, pull, params }) => {
        const review = reviewOf(pull, params.id)
        Object.assign(review, { dismissed: true })
        await mergeQueued(repo, hooks)
        return ok(show.review(repo, pull.number, review))
      },
    ),
    route(`GET ${repoPath}/issues/:number/comments`, 'issue', 'read', ({ repo, pull }) => ({
      ...ok(repo.comments.filter(({ number }) => number === pull.number).map((one) => show.comment(repo, one))),
      total: -1,
    })),
    route(`POST ${repoPath}/issues/:number/comments`, 'issue', 'read', ({ repo, pull, body, user }) => {
      const comment = {
        id: state.next(),
        number: pull.number,
        user,
        body: Said.parse(body).body,
        at: now(),
        updated: now(),
      }
      repo.comments.push(comment)
      const more = { comment: show.comment(repo, comment), is_pull: true }
      hooks.pull(repo, pull, { kind: 'comment', action: 'created', sender: user, more })
      return ok(show.comment(repo, comment), 201)
    }),
    // Whoever may write may edit what others said.
    route(`PATCH ${repoPath}/issues/comments/:id`, 'issue', 'read', ({ repo, params, body, user }) => {
      const comment = repo.comments.find((one) => `${one.id}` === params.id)
      const pull = repo.pulls.find(({ number }) => number === comment?.number)
      if (comment === undefined || pull === undefined) throw new Refuse(404, 'comment does not exist')
      if (comment.user !== user && !atLeast(rightOf(repo, user), 'write')) throw new Refuse(403, 'not allowed')
      Object.assign(comment, { body: Said.parse(body).body, updated: now() })
      hooks.pull(repo, pull, {
        kind: 'comment',
        action: 'edited',
        sender: user,
        more: { comment: show.comment(repo, comment), is_pull: true },
      })
      return ok(show.comment(repo, comment))
    }),
    route(`DELETE ${repoPath}/issues/comments/:id`, 'issue', 'read', ({ repo, params, user }) => {
      const at = repo.comments.findIndex((one) => `${one.id}` === params.id)
      if (at < 0) throw new Refuse(404, 'comment does not exist')
      if (repo.comments[at]?.user !== user && !atLeast(rightOf(repo, user), 'write'))
        throw new Refuse(403, 'not allowed')
      repo.comments.splice(at, 1)
      return { status: 204 }
    }),
  ]
}
