import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { createBare, inBare, refsOf } from './forge-git.ts'
import { Refuse } from './forge-merge.ts'
import { ok, pageLimit, type Route, repoPath, route } from './forge-route.ts'
import { rows } from './forge-rows.ts'
import { type ForgeState, type Repo, tokenFor, type User } from './forge-state.ts'

/** The forge itself, its users, and how repositories come to be. */
export function siteRoutes(state: ForgeState): readonly Route[] {
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
