import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { createRepository, type Repository } from './repository.ts'

/** Somebody with an account of the forge. */
export interface Person {
  readonly login: string
  readonly token: string
  /** Calls the API, below `/api/v1`; throws for another status than is named, if one is. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    status?: number,
  ): Promise<{ readonly status: number; readonly body: unknown }>
  /** The repository with this person's credential in its URL. */
  readonly remote: string
}

/** A repository of a forge, fixture or real, and people around it. Disposing removes all of it from the forge. */
export interface Stage extends AsyncDisposable {
  /** `owner/name`, and as the API's path. */
  readonly repository: string
  readonly at: string
  /** What `GATEWAY_REPO` is, without a credential. */
  readonly url: string
  readonly owner: Person
  /** May write: writes changes. */
  readonly alice: Person
  /** May write: reviews. */
  readonly bob: Person
  /** May only read. */
  readonly guest: Person
  /** The gateway's user, with the smallest token that does all that it does. */
  readonly bot: Person
  /** A work tree that pushes nowhere by itself: `push` it as somebody. */
  readonly work: Repository
  /** Pushes what the work tree is at. */
  push(branch: string, as?: Person): Promise<void>
  /** Another token of a person; of this repository alone unless told otherwise. */
  token(login: string, scopes: readonly string[], everywhere?: boolean): Promise<string>
}

export interface StageOptions {
  readonly url: string
  /** Of a site's admin, with all scopes. */
  readonly adminToken: string
}

/** What the gateway's token needs, and no more. */
const botScopes = ['write:repository', 'write:issue']

const roles = ['owner', 'alice', 'bob', 'guest', 'bot'] as const
const rights = { alice: 'write', bob: 'write', guest: 'read', bot: 'write' } as const
const own = ['write:repository', 'write:issue', 'write:user']
const name = 'gateway-config'

export async function openStage({ url, adminToken }: StageOptions): Promise<Stage> {
  const mark = randomBytes(3).toString('hex')
  const admin = caller(url, `token ${adminToken}`)
  const clear = () =>
    removeAccounts(
      admin,
      roles.map((role) => `${role}-${mark}`),
    )
  try {
    return await fillStage({ url, admin, mark, clear })
  } catch (error) {
    await clear()
    throw error
  }
}

/** With all that is theirs; says whom it had to leave behind. */
async function removeAccounts(admin: Person['ask'], logins: readonly string[]): Promise<void> {
  const left: string[] = []
  for (const login of logins) {
    const { status } = await admin('DELETE', `/admin/users/${login}?purge=true`)
    if (status !== 204 && status !== 404) left.push(`${login} (${status})`)
  }
  if (left.length > 0) throw new Error(`accounts are left on the forge: ${left.join(', ')}`)
}

interface Site {
  readonly url: string
  readonly admin: Person['ask']
  readonly mark: string
  readonly clear: () => Promise<void>
}

async function fillStage({ url, admin, mark, clear }: Site): Promise<Stage> {
  const password = randomBytes(16).toString('hex')
  for (const role of roles) await admin('POST', '/admin/users', account(`${role}-${mark}`, password), 201)
  const basic = (login: string) => `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`
  const token = async (login: string, scopes: readonly string[], everywhere = false) => {
    const only = everywhere ? {} : { repositories: [{ owner: `owner-${mark}`, name }] }
    const made = { name: randomBytes(4).toString('hex'), scopes, ...only }
    const { body } = await caller(url, basic(login))('POST', `/users/${login}/tokens`, made, 201)
    return z.object({ sha1: z.string() }).parse(body).sha1
  }
  const repository = `owner-${mark}/${name}`
  const person = (login: string, text: string): Person => ({
    login,
    token: text,
    ask: caller(url, `token ${text}`),
    remote: `${url.replace('://', `://${login}:${text}@`)}/${repository}.git`,
  })
  const owner = person(`owner-${mark}`, await token(`owner-${mark}`, ['all'], true))
  await owner.ask('POST', '/user/repos', { name, private: true, default_branch: 'main' }, 201)
  for (const [role, permission] of Object.entries(rights))
    await owner.ask('PUT', `/repos/${repository}/collaborators/${role}-${mark}`, { permission }, 204)
  const join = async (role: keyof typeof rights, scopes: readonly string[]) =>
    person(`${role}-${mark}`, await token(`${role}-${mark}`, scopes, role !== 'bot'))
  const people = { alice: await join('alice', own), bob: await join('bob', own), guest: await join('guest', own) }
  const bot = await join('bot', botScopes)
  const work = await createRepository()
  return {
    ...{ repository, at: `/repos/${repository}`, url: `${url}/${repository}.git`, owner, ...people, bot, work, token },
    async push(branch, as = people.alice) {
      await work.git('push', '--quiet', '--force', as.remote, `HEAD:refs/heads/${branch}`)
    },
    async [Symbol.asyncDispose]() {
      await work[Symbol.asyncDispose]()
      await clear()
    },
  }
}

function account(login: string, password: string) {
  return { username: login, password, email: `${login}@example.invalid`, must_change_password: false }
}

function caller(url: string, authorization: string): Person['ask'] {
  return async (method, path, body, status) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (status !== undefined && answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return { status: answer.status, body: isJson(text) ? JSON.parse(text) : text }
  }
}

function isJson(text: string): boolean {
  return /^[[{"\dtfn]/.test(text)
}
