import { randomBytes, randomUUID } from 'node:crypto'

export type Right = 'read' | 'write' | 'admin'

export interface User {
  readonly id: number
  readonly login: string
  readonly password: string
  /** Of the whole site. */
  readonly admin: boolean
}

export interface Token {
  readonly id: number
  readonly user: User
  readonly text: string
  readonly scopes: readonly string[]
  /** `owner/name` of those that it is for; undefined: all. Then it never has an admin's rights. */
  readonly repositories?: readonly string[]
}

export interface Hook {
  readonly id: number
  active: boolean
  events: readonly string[]
  url: string
  readonly secret: string
  readonly authorization: string
}

export interface Protection {
  readonly branch: string
  readonly row: Readonly<Record<string, unknown>>
  readonly contexts: readonly string[]
  readonly checks: boolean
  readonly approvals: number
  readonly blocksOnRejection: boolean
  readonly dismissesStale: boolean
  readonly mergers: readonly string[] | undefined
}

export interface Review {
  readonly id: number
  readonly user: User
  readonly body: string
  readonly commit: string
  readonly state: string
  official: boolean
  dismissed: boolean
  readonly at: string
}

export interface Comment {
  readonly id: number
  readonly number: number
  readonly user: User
  body: string
  readonly at: string
  updated: string
}

export interface StatusRow {
  readonly id: number
  readonly sha: string
  readonly state: string
  readonly context: string
  readonly description: string
  readonly url: string
  readonly user: User
  readonly at: string
}

export interface Pull {
  readonly id: number
  readonly number: number
  readonly user: User
  title: string
  body: string
  state: 'open' | 'closed'
  readonly base: string
  readonly head: { readonly repo: Repo; readonly branch: string }
  /** Tip of its branch, also after that is gone. */
  tip: string
  /** Until then the forge has not found out whether it can be merged, ms. */
  checkedAt: number
  merge?: { readonly sha: string; readonly by: User; readonly at: string }
  /** Merges by itself once nothing is in its way. */
  queued?: { readonly by: User; readonly how: string; readonly deletes: boolean }
  readonly reviews: Review[]
  readonly created: string
  updated: string
}

export interface Repo {
  readonly id: number
  readonly owner: User
  readonly name: string
  readonly private: boolean
  readonly bare: string
  readonly parent?: Repo
  readonly rights: Map<string, Right>
  readonly hooks: Hook[]
  readonly protections: Protection[]
  readonly pulls: Pull[]
  readonly comments: Comment[]
  readonly statuses: StatusRow[]
  /** As they were last looked at. */
  refs: Map<string, string>
}

/** All that the forge knows. */
export interface ForgeState {
  readonly root: string
  url: string
  readonly users: User[]
  readonly tokens: Token[]
  readonly repos: Repo[]
  next(): number
}

export function createState(root: string): ForgeState {
  let id = 0
  return { root, url: '', users: [], tokens: [], repos: [], next: () => ++id }
}

export const now = () => new Date().toISOString().replace(/\.\d+Z$/, 'Z')
export const fullName = (repo: Repo) => `${repo.owner.login}/${repo.name}`
const newToken = () => randomBytes(20).toString('hex')
export const newDelivery = () => randomUUID()

export function tokenFor(state: ForgeState, user: User, options: Pick<Token, 'scopes' | 'repositories'>): Token {
  const token = { id: state.next(), user, text: newToken(), ...options }
  state.tokens.push(token)
  return token
}

/** What a user may do with a repository; undefined is nothing, not even see it. */
export function rightOf(repo: Repo, user: User | undefined): Right | undefined {
  if (user !== undefined && (user.admin || user.id === repo.owner.id)) return 'admin'
  const given = user === undefined ? undefined : repo.rights.get(user.login)
  return given ?? (repo.private ? undefined : 'read')
}

export function atLeast(right: Right | undefined, wanted: Right): boolean {
  const ranks: readonly Right[] = ['read', 'write', 'admin']
  return right !== undefined && ranks.indexOf(right) >= ranks.indexOf(wanted)
}

/** The latest of each context, oldest first. */
export function statusesOf(repo: Repo, sha: string): readonly StatusRow[] {
  const latest = new Map<string, StatusRow>()
  for (const row of repo.statuses) if (row.sha === sha) latest.set(row.context, row)
  return [...latest.values()].toSorted((a, b) => a.id - b.id)
}
