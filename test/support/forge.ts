import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ZodError } from 'zod'
import { createApi } from './forge-api.ts'
import { createHooks, type Delivery, type Hooks } from './forge-hooks.ts'
import { Refuse } from './forge-merge.ts'
import type { Caller } from './forge-route.ts'
import { atLeast, createState, type ForgeState, fullName, type Repo, rightOf, tokenFor } from './forge-state.ts'
import { runBackend } from './git-server.ts'
import { portOf } from './port.ts'

/** A Forgejo as far as a gateway knows it: its API with its oddities, real git, and hooks that are delivered once. */
export interface FixtureForge extends AsyncDisposable {
  /** Base URL; `/api/v1` and `/<owner>/<name>.git` lie below it. */
  readonly url: string
  /** Of the site's admin, for all. */
  readonly adminToken: string
  readonly requests: {
    readonly method: string
    readonly path: string
    readonly status: number
    readonly user: string
  }[]
  readonly deliveries: readonly Delivery[]
  readonly hooks: Hooks
  readonly state: ForgeState
  repo(fullName: string): Repo
}

export async function openFixtureForge(): Promise<FixtureForge> {
  const root = await mkdtemp(join(tmpdir(), 'forge-'))
  const state = createState(root)
  const hooks = createHooks(state)
  const admin = { id: state.next(), login: 'root', password: 'of this test only', admin: true }
  state.users.push(admin)
  const api = createApi(state, hooks)
  const requests: FixtureForge['requests'] = []
  const server = createServer((request, response) => void serve({ state, hooks, api, requests }, { request, response }))
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  state.url = `http://127.0.0.1:${portOf(server)}`
  return {
    url: state.url,
    adminToken: tokenFor(state, admin, { scopes: ['all'] }).text,
    requests,
    deliveries: hooks.deliveries,
    hooks,
    state,
    repo(name) {
      const repo = state.repos.find((one) => fullName(one) === name)
      if (repo === undefined) throw new Error(`the forge has no ${name}`)
      return repo
    },
    async [Symbol.asyncDispose]() {
      await hooks.rest()
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await rm(root, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

interface Site extends Pick<FixtureForge, 'state' | 'hooks' | 'requests'> {
  readonly api: ReturnType<typeof createApi>
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function serve(site: Site, exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  const url = new URL(request.url ?? '', site.state.url)
  const caller = callerOf(site.state, request.headers.authorization)
  const told = { method: request.method ?? '', path: `${url.pathname}${url.search}`, user: caller?.user?.login ?? '' }
  response.on('finish', () => site.requests.push({ ...told, status: response.statusCode }))
  if (!url.pathname.startsWith('/api/v1/')) return serveGit(site, caller, exchange)
  if (caller === undefined) return refuse(site, response, new Refuse(401, 'invalid username, password or token'))
  try {
    const text = (await Array.fromAsync<Buffer>(request)).join('')
    const reply = await site.api(told.method, url, text === '' ? {} : JSON.parse(text), caller)
    const total = reply.total ?? 0
    const [page, limit] = [Number(url.searchParams.get('page') ?? 1), Number(url.searchParams.get('limit') ?? 30)]
    if (reply.total !== undefined && total >= 0) response.setHeader('x-total-count', total)
    // Its own idea of its address, which need not be the one that it was reached by.
    if (page * limit < total)
      response.setHeader('link', `<https://forge.example.invalid${url.pathname}?page=${page + 1}>; rel="next"`)
    response.writeHead(reply.status, { 'content-type': 'application/json;charset=utf-8' })
    response.end(reply.body === undefined ? '' : JSON.stringify(reply.body))
  } catch (error) {
    refuse(site, response, error)
  }
}

function refuse({ state }: Site, response: ServerResponse, error: unknown): void {
  const status = error instanceof Refuse ? error.status : error instanceof ZodError ? 422 : 500
  const message = error instanceof Error ? error.message : String(error)
  response.writeHead(status, { 'content-type': 'application/json;charset=utf-8' })
  response.end(JSON.stringify({ message, url: `${state.url}/api/swagger` }))
}

/** Nobody for no credential, undefined for a wrong one. */
function callerOf(state: ForgeState, authorization: string | undefined): Caller | undefined {
  if (authorization === undefined) return {}
  const [scheme = '', value = ''] = authorization.split(' ')
  const basic = scheme.toLowerCase() === 'basic'
  const [login = '', secret = ''] = basic ? Buffer.from(value, 'base64').toString().split(/:(.*)/s) : ['', value]
  const token = state.tokens.find(({ text }) => text === secret)
  if (token !== undefined) return { user: token.user, token }
  const user = basic ? state.users.find((one) => one.login === login && one.password === secret) : undefined
  return user === undefined ? undefined : { user }
}

async function serveGit({ state, hooks }: Site, caller: Caller | undefined, exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  const url = new URL(request.url ?? '', state.url)
  const [, name, rest] =
    /^\/([^/]+\/[^/]+?)(?:\.git)?(\/(?:info\/refs|git-(?:upload|receive)-pack))$/.exec(url.pathname) ?? []
  const repo = state.repos.find((one) => fullName(one) === name)
  const challenge = () => response.writeHead(401, { 'www-authenticate': 'Basic realm="Gitea"' }).end('Unauthorized\n')
  const writes = url.search.includes('git-receive-pack') || rest === '/git-receive-pack'
  if (caller === undefined || (caller.user === undefined && (repo === undefined || repo.private || writes)))
    return void challenge()
  const scopes = caller.token?.scopes ?? ['all']
  const may = scopes.some(
    (scope) => scope === 'all' || scope === 'write:repository' || (!writes && scope === 'read:repository'),
  )
  const named = caller.token?.repositories
  if (
    repo === undefined ||
    rightOf(repo, caller.user) === undefined ||
    (named !== undefined && !named.includes(fullName(repo)))
  )
    return void response.writeHead(404).end('Not found.\n')
  if (!may || !atLeast(rightOf(repo, caller.user), writes ? 'write' : 'read'))
    return void response.writeHead(403).end('User permission denied for writing.\n')
  const pusher = rest === '/git-receive-pack' ? caller.user : undefined
  runBackend(
    {
      root: state.root,
      path: `/${fullName(repo)}.git${rest}`,
      ...(caller.user === undefined ? {} : { user: caller.user.login }),
      ...(pusher === undefined ? {} : { onEnd: () => hooks.notice(repo, pusher) }),
    },
    exchange,
  )
}
