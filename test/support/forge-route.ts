import type { Pull, Repo, Right, Token, User } from './forge-state.ts'

/** Who asks: by a token, by a password, or nobody. */
export interface Caller {
  readonly user?: User
  readonly token?: Token
}

/** One request, with what its route found. */
export interface Call {
  readonly caller: Caller
  readonly user: User
  readonly repo: Repo
  readonly pull: Pull
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: unknown
}

export type Reply = { readonly status: number; readonly body?: unknown; readonly total?: number }
export type Category = 'none' | 'repository' | 'issue' | 'user' | 'admin' | 'password'

export interface Route {
  readonly method: string
  readonly pattern: RegExp
  readonly category: Category
  /** On the repository that the path names; `site` is none. */
  readonly right: Right | 'site'
  readonly act: (call: Call) => Reply | Promise<Reply>
}

export function route(line: string, category: Category, right: Route['right'], act: Route['act']): Route {
  const [method = '', path = ''] = line.split(' ')
  const pattern = path.replace(/:(\w+)/g, '(?<$1>[^/]+)')
  return { method, pattern: new RegExp(`^${pattern}$`), category, right, act }
}

/** Rows of a page at most, whatever is asked for. */
export const pageLimit = 50
export const ok = (body: unknown, status = 200): Reply => ({ status, body })
export const repoPath = '/repos/:owner/:name'
