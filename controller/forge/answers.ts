import { z } from 'zod'

// What is read of Forgejo's answers. Its swagger has no nullables, its servers have: each object and list may be null.

const User = z.object({ login: z.string() }).nullish()

/** Whom a row is by; the forge has no user for those who are gone. */
const author = User.transform((user) => user?.login ?? '')
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '')

const End = z.object({
  ref: z.string(),
  sha: z.string(),
  repo_id: z.number().nullish(),
  repo: z.object({ full_name: z.string() }).nullish(),
})

/** A pull request. `head` is always to be had as `refs/pull/<number>/head` of the repository itself. */
export interface Pull {
  readonly number: number
  readonly title: string
  /** Login of who opened it. */
  readonly author: string
  readonly state: 'open' | 'closed'
  readonly draft: boolean
  readonly head: string
  /** Whether its commits come from another repository than it asks to be merged into. */
  readonly fork: boolean
  /** The branch that it asks to be merged into, and that branch's tip. */
  readonly base: { readonly branch: string; readonly tip: string }
  readonly merged: boolean
  /** The commit that it became; `` while it is none. */
  readonly mergeCommit: string
  readonly mergedBy: string
  /** Where people read it; by the forge's own idea of its address. */
  readonly url: string
  /** ISO 8601. */
  readonly updated: string
}

export const PullAnswer = z
  .object({
    number: z.number().int(),
    title: text,
    user: author,
    state: z.enum(['open', 'closed']),
    draft: z.boolean().nullish(),
    head: End,
    base: End,
    merged: z.boolean().nullish(),
    merge_commit_sha: text,
    merged_by: author,
    html_url: text,
    updated_at: text,
  })
  .transform(
    (pull): Pull => ({
      number: pull.number,
      title: pull.title,
      author: pull.user,
      state: pull.state,
      draft: pull.draft ?? false,
      head: pull.head.sha,
      // A fork that is gone has no repository any more, but keeps its id.
      fork: pull.head.repo?.full_name !== pull.base.repo?.full_name || pull.head.repo_id !== pull.base.repo_id,
      base: { branch: pull.base.ref, tip: pull.base.sha },
      merged: pull.merged ?? false,
      mergeCommit: pull.merge_commit_sha,
      mergedBy: pull.merged_by,
      url: pull.html_url,
      updated: pull.updated_at,
    }),
  )

/** What somebody said of a pull request. One that is not official, or dismissed, counts for nothing. */
export interface Review {
  readonly id: number
  readonly author: string
  /** `APPROVED`, `REQUEST_CHANGES`, `COMMENT`, `REQUEST_REVIEW`, `PENDING`, or what a later forge adds. */
  readonly state: string
  /** The head that it was given for. */
  readonly commit: string
  readonly official: boolean
  readonly dismissed: boolean
  /** Whether the head has moved since. */
  readonly stale: boolean
  /** ISO 8601. */
  readonly submitted: string
}

export const ReviewAnswer = z
  .object({
    id: z.number().int(),
    user: author,
    state: text,
    commit_id: text,
    official: z.boolean().nullish(),
    dismissed: z.boolean().nullish(),
    stale: z.boolean().nullish(),
    submitted_at: text,
  })
  .transform(
    ({ id, user, state, commit_id, official, dismissed, stale, submitted_at }): Review => ({
      id,
      author: user,
      state,
      commit: commit_id,
      official: official ?? false,
      dismissed: dismissed ?? false,
      stale: stale ?? false,
      submitted: submitted_at,
    }),
  )

/** A comment in a pull request's conversation. Whoever may write to the repository may have edited it. */
export interface Comment {
  readonly id: number
  readonly author: string
  readonly body: string
}

export const CommentAnswer = z
  .object({ id: z.number().int(), user: author, body: text })
  .transform(({ id, user, body }): Comment => ({ id, author: user, body }))

/** A commit status, as it is in force: the latest of its context. */
export interface Posted {
  readonly context: string
  /** What was posted, which the forge does not check. */
  readonly state: string
  readonly description: string
  readonly url: string
  readonly author: string
}

export const StatusAnswer = z
  .object({ context: text, status: text, description: text, target_url: text, creator: author })
  .transform(
    ({ context, status, description, target_url, creator }): Posted => ({
      context,
      state: status,
      description,
      url: target_url,
      author: creator,
    }),
  )

export const CombinedAnswer = z
  .object({
    statuses: z
      .array(StatusAnswer)
      .nullish()
      .transform((list) => list ?? []),
  })
  .transform(({ statuses }) => statuses)

/** A branch, and what the token's user may do to it. */
export interface Branch {
  readonly mayPush: boolean
  readonly mayMerge: boolean
  /** Patterns of statuses that must be a success before a merge, in which `*` is anything. */
  readonly required: readonly string[]
}

export const BranchAnswer = z
  .object({
    user_can_push: z.boolean().nullish(),
    user_can_merge: z.boolean().nullish(),
    enable_status_check: z.boolean().nullish(),
    status_check_contexts: z.array(z.string()).nullish(),
  })
  .transform(
    ({ user_can_push, user_can_merge, enable_status_check, status_check_contexts }): Branch => ({
      mayPush: user_can_push ?? false,
      mayMerge: user_can_merge ?? false,
      required: enable_status_check === true ? (status_check_contexts ?? []) : [],
    }),
  )

export const VersionAnswer = z.object({ version: z.string() }).transform(({ version }) => version)

/** What the forge says of a refusal. */
export const RefusalAnswer = z.object({ message: z.string() })

/** A list, which may be null. */
export function listOf<T>(row: z.ZodType<T>) {
  return z
    .array(row)
    .nullish()
    .transform((list): readonly T[] => list ?? [])
}
