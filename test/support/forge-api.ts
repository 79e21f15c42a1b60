import type { Hooks } from './forge-hooks.ts'
import { Refuse } from './forge-merge.ts'
import { pullRoutes, sayRoutes } from './forge-pull-routes.ts'
import { repoRoutes } from './forge-repository-routes.ts'
import { type Caller, type Category, pageLimit, type Reply } from './forge-route.ts'
import { siteRoutes } from './forge-site-routes.ts'
import { atLeast, type ForgeState, fullName, type Repo, type Right, rightOf } from './forge-state.ts'

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
