import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { createBare, inBare, knows, protect, refsOf } from './forge-git.ts'
import { type Hooks, setHead } from './forge-hooks.ts'
import { mergePull, mergeQueued, Refuse } from './forge-merge.ts'
import { rows } from './forge-rows.ts'
import {
  atLeast,
  type ForgeState,
  fullName,
  now,
  type Pull,
  type Repo,
  type Right,
  rightOf,
  type Token,
  tokenFor,
  type User,
} from './forge-state.ts'

/** Who asks: by a token, by a password, or nobody. */
export interface Caller {
  readonly user?: User
  readonly token?: Token
}

/** One request, with what its route found. */
interface Call {
  readonly caller: Caller
  readonly user: User
  readonly repo: Repo
  readonly pull: Pull
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: unknown
}

type Reply = { readonly status: number; readonly body?: unknown; readonly total?: number }
type Category = 'none' | 'repository' | 'issue' | 'user' | 'admin' | 'password'

interface Route {
  readonly method: string
  readonly pattern: RegExp
  readonly category: Category
  /** On the repository that the path names; `site` is none. */
  readonly right: Right | 'site'
  readonly act: (call: Call) => Reply | Promise<Reply>
}

const pageLimit = 50

/** Forgejo's API, as far as a gateway and its tests use it. */
export function createApi(state: ForgeState, hooks: Hooks) {
  const routes = [
    ...siteRoutes(state),
    ...repoRoutes(state, hooks),
    ...pullRoutes(state, hooks),
    ...sayRoutes(state, hooks),
  ]
  return async (method: string, url: URL, body: unknown, caller: Caller): Promise<Reply> => {
    const path = url.pathname.slice('/api/v1'.length)
    const [route] = routes.filter((one) => one.method === method && one.pattern.test(path))
    if (route === undefined) throw new Refuse(404, 'Not Found')
    const params = Object.fromEntries(
      Object.entries(route.pattern.exec(path)?.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
    )
    allow(caller, method, route.category)
    const repo = route.right === 'site' ? undefined : repoOf(state, params, caller)
    if (repo !== undefined && route.right !== 'site') permit(repo, caller, route.right)
    const pull = repo?.pulls.find(({ number }) => `${number}` === params.number)
    if ('number' in params && pull === undefined) throw new Refuse(404, "The target couldn't be found.")
    const call = { caller, params, query: url.searchParams, body, user: caller.user!, repo: repo!, pull: pull! }
    return page(await route.act(call), url.searchParams)
  }
}

/** A token opens only what its scopes name. */
function allow({ user, token }: Caller, method: string, category: Category): void {
  if (category === 'none') return
  if (category === 'password') {
    if (user === undefined || token !== undefined) throw new Refuse(401, 'auth required')
    return
  }
  const reads = method === 'GET'
  if (user === undefined && (category !== 'repository' || !reads)) throw new Refuse(401, 'token is required')
  if (token === undefined) return
  const wanted = `${reads ? 'read' : 'write'}:${category}`
  if ([wanted, `write:${category}`, 'all'].some((scope) => token.scopes.includes(scope))) return
  throw new Refuse(403, `token does not have at least one of required scope(s): [${wanted}]`)
}

function repoOf(state: ForgeState, { owner, name }: Readonly<Record<string, string>>, { user, token }: Caller): Repo {
  const repo = state.repos.find((one) => fullName(one).toLowerCase() === `${owner}/${name}`.toLowerCase())
  const hidden = token?.repositories !== undefined && repo !== undefined && !token.repositories.includes(fullName(repo))
  if (repo === undefined || hidden || rightOf(repo, user) === undefined)
    throw new Refuse(404, "The target couldn't be found.")
  return repo
}

function permit(repo: Repo, { user, token }: Caller, wanted: Right): void {
  if (wanted === 'admin' && (token?.repositories !== undefined || !atLeast(rightOf(repo, user), 'admin')))
    throw new Refuse(403, 'user should be an owner or a collaborator with admin write of a repository')
  if (!atLeast(rightOf(repo, user), wanted)) throw new Refuse(403, 'user should have a permission to write to a repo')
}

function page(reply: Reply, query: URLSearchParams): Reply {
  if (!Array.isArray(reply.body) || reply.total === -1) return reply
  const limit = Math.min(Number(query.get('limit') ?? 30), pageLimit)
  const from = (Number(query.get('page') ?? 1) - 1) * limit
  return { ...reply, body: reply.body.slice(from, from + limit), total: reply.body.length }
}

function route(line: string, category: Category, right: Route['right'], act: Route['act']): Route {
  const [method = '', path = ''] = line.split(' ')
  const pattern = path.replace(/:(\w+)/g, '(?<$1>[^/]+)')
  return { method, pattern: new RegExp(`^${pattern}$`), category, right, act }
}

const ok = (body: unknown, status = 200): Reply => ({ status, body })
const repoPath = '/repos/:owner/:name'

function siteRoutes(state: ForgeState): readonly Route[] {
  const show = rows(state)
  const NewUser = z.object({ username: z.string(), password: z.string() })
  const NewToken = z.object({
    name: z.string(),
    scopes: z.array(z.string()),
    repositories: z.array(z.object({ owner: z.string(), name: z.string() })).optional(),
  })
  const NewRepo = z.object({ name: z.string(), private: z.boolean().default(false) })
  const userOf = (login: string | undefined) => {
    const user = state.users.find((one) => one.login === login)
    if (user === undefined) throw new Refuse(404, 'user does not exist')
    return user
  }
  const makeRepo = async (owner: User, name: string, more: { private: boolean; parent?: Repo }) => {
    const bare = join(state.root, owner.login, `${name}.git`)
    await createBare(bare)
    const lists = { rights: new Map(), hooks: [], protections: [], pulls: [], comments: [], statuses: [] }
    const repo: Repo = { id: state.next(), owner, name, bare, refs: new Map(), ...lists, ...more }
    state.repos.push(repo)
    return repo
  }
  return [
    route('GET /version', 'none', 'site', () => ok({ version: '15.0.3+gitea-1.22.0' })),
    route('GET /settings/api', 'none', 'site', () => ok({ max_response_items: pageLimit, default_paging_num: 30 })),
    route('GET /user', 'user', 'site', ({ user }) => ok(show.user(user))),
    route('POST /admin/users', 'admin', 'site', ({ user, body }) => {
      if (!user.admin) throw new Refuse(403, 'user should be the site admin')
      const { username: login, password } = NewUser.parse(body)
      if (state.users.some((one) => one.login === login)) throw new Refuse(422, 'user already exists')
      const made = { id: state.next(), login, password, admin: false }
      state.users.push(made)
      return ok(show.user(made), 201)
    }),
    route('DELETE /admin/users/:login', 'admin', 'site', async ({ user, params }) => {
      if (!user.admin) throw new Refuse(403, 'user should be the site admin')
      const gone = userOf(params.login)
      state.users.splice(state.users.indexOf(gone), 1)
      for (const repo of state.repos.filter(({ owner }) => owner === gone)) {
        state.repos.splice(state.repos.indexOf(repo), 1)
        await rm(repo.bare, { recursive: true, force: true })
      }
      return { status: 204 }
    }),
    route('POST /users/:login/tokens', 'password', 'site', ({ user, params, body }) => {
      if (user.login !== params.login && !user.admin) throw new Refuse(403, 'not your user')
      const { scopes, repositories } = NewToken.parse(body)
      const narrow = repositories !== undefined
      if (narrow && scopes.some((scope) => !/^(read|write):(repository|issue)$/.test(scope)))
        throw new Refuse(400, 'repo-specific access tokens may only have repository and issue scopes')
      const named = repositories?.map(({ owner, name }) => `${owner}/${name}`)
      const token = tokenFor(state, userOf(params.login), { scopes, ...(narrow ? { repositories: named } : {}) })
      return ok({ id: token.id, name: '', sha1: token.text, scopes }, 201)
    }),
    route('POST /user/repos', 'user', 'site', async ({ user, body }) => {
      const { name, private: hidden } = NewRepo.parse(body)
      if (state.repos.some((one) => one.owner === user && one.name === name))
        throw new Refuse(409, 'The repository with the same name already exists.')
      return ok(show.repo(await makeRepo(user, name, { private: hidden }), user), 201)
    }),
    route(`POST ${repoPath}/forks`, 'repository', 'read', async ({ user, repo }) => {
      const fork = await makeRepo(user, repo.name, { private: repo.private, parent: repo })
      await inBare(fork.bare, 'fetch', '--quiet', repo.bare, '+refs/heads/*:refs/heads/*')
      fork.refs = await refsOf(fork.bare)
      return ok(show.repo(fork, user), 202)
    }),
  ]
}

function repoRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewHook = z.object({
    active: z.boolean().default(false),
    events: z.array(z.string()).default(['push']),
    config: z.object({ url: z.string(), content_type: z.string(), secret: z.string().default('') }),
    authorization_header: z.string().default(''),
  })
  const HookChange = z.object({
    active: z.boolean().optional(),
    events: z.array(z.string()).optional(),
    config: z.object({ url: z.string().optional() }).optional(),
  })
  const NewProtection = z.object({
    rule_name: z.string(),
    status_check_contexts: z.array(z.string()).nullish(),
    enable_status_check: z.boolean().default(false),
    required_approvals: z.number().default(0),
    block_on_rejected_reviews: z.boolean().default(false),
    dismiss_stale_approvals: z.boolean().default(false),
    enable_merge_whitelist: z.boolean().default(false),
    merge_whitelist_usernames: z.array(z.string()).nullish(),
  })
  const hookOf = (repo: Repo, id: string | undefined) => {
    const hook = repo.hooks.find((one) => `${one.id}` === id)
    if (hook === undefined) throw new Refuse(404, "The target couldn't be found.")
    return hook
  }
  return [
    route(`GET ${repoPath}`, 'repository', 'read', ({ repo, user }) => ok(show.repo(repo, user))),
    route(`DELETE ${repoPath}`, 'repository', 'admin', async ({ repo }) => {
      state.repos.splice(state.repos.indexOf(repo), 1)
      await rm(repo.bare, { recursive: true, force: true })
      return { status: 204 }
    }),
    route(`PUT ${repoPath}/collaborators/:login`, 'repository', 'admin', ({ repo, params, body }) => {
      const { permission } = z.object({ permission: z.enum(['read', 'write', 'admin']) }).parse(body)
      repo.rights.set(params.login ?? '', permission)
      return { status: 204 }
    }),
    route(`GET ${repoPath}/branches/:branch`, 'repository', 'read', ({ repo, params }) => {
      const id = repo.refs.get(`refs/heads/${params.branch}`)
      if (id === undefined) throw new Refuse(404, 'branch does not exist')
      return ok({ name: params.branch, commit: { id } })
    }),
    route(`GET ${repoPath}/hooks`, 'repository', 'admin', ({ repo }) => ok(repo.hooks.map(show.hook))),
    route(`POST ${repoPath}/hooks`, 'repository', 'admin', ({ repo, body }) => {
      const { config, authorization_header: authorization, ...rest } = NewHook.parse(body)
      const hook = { id: state.next(), url: config.url, secret: config.secret, authorization, ...rest }
      repo.hooks.push(hook)
      return ok(show.hook(hook), 201)
    }),
    // The secret stays what it was, whatever is asked for.
    route(`PATCH ${repoPath}/hooks/:id`, 'repository', 'admin', ({ repo, params, body }) => {
      const hook = hookOf(repo, params.id)
      const { active, events, config } = HookChange.parse(body)
      Object.assign(hook, {
        ...(active === undefined ? {} : { active }),
        ...(events === undefined ? {} : { events }),
        url: config?.url ?? hook.url,
      })
      return ok(show.hook(hook))
    }),
    route(`DELETE ${repoPath}/hooks/:id`, 'repository', 'admin', ({ repo, params }) => {
      repo.hooks.splice(repo.hooks.indexOf(hookOf(repo, params.id)), 1)
      return { status: 204 }
    }),
    route(`POST ${repoPath}/hooks/:id/tests`, 'repository', 'admin', async ({ repo, params, user }) => {
      await hooks.test(repo, hookOf(repo, params.id).id, user)
      return { status: 204 }
    }),
    route(`GET ${repoPath}/branch_protections`, 'repository', 'admin', ({ repo }) =>
      ok(repo.protections.map(({ row }) => row)),
    ),
    route(`POST ${repoPath}/branch_protections`, 'repository', 'admin', async ({ repo, body }) => {
      const asked = NewProtection.parse(body)
      const row = { branch_name: asked.rule_name, ...z.record(z.string(), z.unknown()).parse(body) }
      repo.protections.push({
        branch: asked.rule_name,
        row,
        contexts: asked.status_check_contexts ?? [],
        checks: asked.enable_status_check,
        approvals: asked.required_approvals,
        blocksOnRejection: asked.block_on_rejected_reviews,
        dismissesStale: asked.dismiss_stale_approvals,
        mergers: asked.enable_merge_whitelist ? (asked.merge_whitelist_usernames ?? []) : undefined,
      })
      await protect(
        repo.bare,
        repo.protections.map(({ branch }) => branch),
      )
      return ok(row, 201)
    }),
    ...statusRoutes(state, hooks),
  ]
}

/** Any state is taken, any length, and a branch in place of a commit. */
function statusRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewStatus = z.object({
    state: z.string().default(''),
    context: z.string().default('default'),
    description: z.string().default(''),
    target_url: z.string().default(''),
  })
  const shaOf = async (repo: Repo, ref: string | undefined) => {
    const sha = repo.refs.get(`refs/heads/${ref}`) ?? ref ?? ''
    if (!/^[0-9a-f]{40,64}$/.test(sha) || !(await knows(repo.bare, sha))) throw new Refuse(404, 'object does not exist')
    return sha
  }
  return [
    route(`POST ${repoPath}/statuses/:sha`, 'repository', 'write', async ({ repo, params, body, user }) => {
      const sha = await shaOf(repo, params.sha)
      const { state: told, target_url: url, ...rest } = NewStatus.parse(body)
      const row = { id: state.next(), sha, state: told, url, user, at: now(), ...rest }
      repo.statuses.push(row)
      await mergeQueued(repo, hooks)
      return ok(show.status(repo, row), 201)
    }),
    route(`GET ${repoPath}/commits/:sha/status`, 'repository', 'read', async ({ repo, params, user }) =>
      ok(show.combined(repo, await shaOf(repo, params.sha), user)),
    ),
    route(`GET ${repoPath}/commits/:sha/pull`, 'repository', 'read', ({ repo, params, user }) => {
      const pull = repo.pulls.find(({ merge }) => merge !== undefined && merge.sha === params.sha)
      if (pull === undefined) throw new Refuse(404, 'pull request does not exist')
      return ok(show.pull(repo, pull, user))
    }),
  ]
}

function pullRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
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
function sayRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
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
