import type { z } from 'zod'
import {
  type Branch,
  BranchAnswer,
  CombinedAnswer,
  type Comment,
  CommentAnswer,
  listOf,
  type Posted,
  type Pull,
  PullAnswer,
  type Review,
  ReviewAnswer,
  StatusAnswer,
  VersionAnswer,
} from './answers.ts'
import { type Ask, type Line, openLine, type Question } from './ask.ts'
import { ForgeRefusal, type Need } from './fault.ts'

/** All that the forge takes without a check, and what it makes of each: `warning` blocks a merge, and is no success. */
export type CommitState = 'pending' | 'success' | 'warning' | 'failure' | 'error'

export interface NewStatus {
  readonly state: CommitState
  readonly context: string
  readonly description: string
  /** Where people read more; none if people have no address. */
  readonly url?: string
}

/**
 * One repository of a Forgejo. Every verb throws `ForgeRefusal` (somebody must act), `ForgeDown` (ask again later), or the
 * signal's reason. What is not found is undefined where that is an answer.
 */
export interface Forge extends AsyncDisposable {
  /** `owner/name`. */
  readonly repository: string
  /** Login of the token's user, once something was written by it: asking would need one scope more. */
  readonly self: () => string | undefined
  version(signal: AbortSignal): Promise<string>
  branch(name: string, signal: AbortSignal): Promise<Branch | undefined>
  /** A new row of the commit's statuses; the latest of a context is in force. `sha` is a full hash, never a branch. */
  postStatus(sha: string, status: NewStatus, signal: AbortSignal): Promise<Posted>
  /** The statuses in force. */
  statuses(sha: string, signal: AbortSignal): Promise<readonly Posted[]>
  /** Open pull requests, the last updated first. */
  openPulls(signal: AbortSignal): Promise<readonly Pull[]>
  pull(number: number, signal: AbortSignal): Promise<Pull | undefined>
  /** The pull request that became this commit. Undefined also where the token may not see it. */
  pullOfCommit(sha: string, signal: AbortSignal): Promise<Pull | undefined>
  /** Oldest first. */
  reviews(number: number, signal: AbortSignal): Promise<readonly Review[]>
  /** Oldest first. */
  comments(number: number, signal: AbortSignal): Promise<readonly Comment[]>
  comment(number: number, body: string, signal: AbortSignal): Promise<Comment>
  /** Undefined if the comment is gone. */
  editComment(id: number, body: string, signal: AbortSignal): Promise<Comment | undefined>
}

const pageSize = 50
const mostPages = 20
const sees: Need = { scope: 'read:repository', right: 'read' }
const discusses: Need = { scope: 'read:issue', right: 'read' }
const comments: Need = { scope: 'write:issue', right: 'read' }
const judges: Need = { scope: 'write:repository', right: 'write' }

/** Opens connections as they are needed, and asks nothing yet. */
export function openForge(line: Line): Forge {
  const { ask, close } = openLine(line)
  const at = `/repos/${line.repository.split('/').map(encodeURIComponent).join('/')}`
  return {
    repository: line.repository,
    [Symbol.asyncDispose]: close,
    ...createReader(ask, at),
    ...createWriter(ask, at),
  }
}

function createReader(ask: Ask, at: string) {
  const pullAt = (path: string, call: string, signal: AbortSignal) => found(ask(get(path, call), PullAnswer, signal))
  return {
    version: (signal) => value(ask(get('/version', 'GET version'), VersionAnswer, signal)),
    branch: (name, signal) => {
      const path = `${at}/branches/${name.split('/').map(encodeURIComponent).join('/')}`
      return found(ask(get(path, 'GET branch'), BranchAnswer, signal))
    },
    statuses: (sha, signal) =>
      value(ask(get(`${at}/commits/${sha}/status?limit=${pageSize}`, 'GET status'), CombinedAnswer, signal)),
    openPulls: (signal) =>
      pages(ask, get(`${at}/pulls?state=open&sort=recentupdate`, 'GET pulls'), { row: PullAnswer, signal }),
    pull: (number, signal) => pullAt(`${at}/pulls/${number}`, 'GET pull', signal),
    pullOfCommit: (sha, signal) => pullAt(`${at}/commits/${sha}/pull`, 'GET pull of commit', signal),
    reviews: (number, signal) =>
      pages(ask, get(`${at}/pulls/${number}/reviews?`, 'GET reviews'), { row: ReviewAnswer, signal }),
    // Not paged by the forge.
    comments: (number, signal) =>
      value(ask(get(`${at}/issues/${number}/comments`, 'GET comments', discusses), listOf(CommentAnswer), signal)),
  } satisfies Partial<Forge>
}

function createWriter(ask: Ask, at: string) {
  let self: string | undefined
  const known = <T extends { readonly author: string }>(row: T): T => {
    self = row.author || self
    return row
  }
  return {
    self: () => self,
    async postStatus(sha, { url, ...status }, signal) {
      const body = { ...status, ...(url === undefined ? {} : { target_url: url }) }
      const question = {
        method: 'POST',
        path: `${at}/statuses/${sha}`,
        call: 'POST status',
        need: judges,
        body,
      } as const
      return known(await value(ask(question, StatusAnswer, signal)))
    },
    async comment(number, body, signal) {
      const path = `${at}/issues/${number}/comments`
      const question = { method: 'POST', path, call: 'POST comment', need: comments, body: { body } } as const
      return known(await value(ask(question, CommentAnswer, signal)))
    },
    editComment(id, body, signal) {
      const path = `${at}/issues/comments/${id}`
      const question = { method: 'PATCH', path, call: 'PATCH comment', need: comments, body: { body } } as const
      return found(ask(question, CommentAnswer, signal))
    },
  } satisfies Partial<Forge>
}

function get(path: string, call: string, need: Need = sees): Question {
  return { method: 'GET', path, call, need }
}

async function value<T>(answer: Promise<{ readonly value: T }>): Promise<T> {
  return (await answer).value
}

async function found<T>(answer: Promise<{ readonly value: T }>): Promise<T | undefined> {
  try {
    return await value(answer)
  } catch (error) {
    if (error instanceof ForgeRefusal && error.status === 404) return undefined
    throw error
  }
}

interface Rows<T> {
  readonly row: z.ZodType<T>
  readonly signal: AbortSignal
}

/** All pages of a list, by number: the addresses in `Link` are by the forge's own idea of where it is. */
async function pages<T>(ask: Ask, question: Question, { row, signal }: Rows<T>): Promise<readonly T[]> {
  const rows: T[] = []
  for (let page = 1; page <= mostPages; page++) {
    const path = `${question.path}&page=${page}&limit=${pageSize}`
    const { value, more } = await ask({ ...question, path }, listOf(row), signal)
    rows.push(...value)
    if (!more) break
  }
  return rows
}
