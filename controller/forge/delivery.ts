import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'

/** What a delivery may be about. A hint where to look, never a fact: its sender only knows the secret. */
export type Hint =
  /** The branch may have moved; `commit` is where the delivery says that it is. */
  | { readonly about: 'branch'; readonly commit?: string }
  /** Something may have changed about a pull request. */
  | { readonly about: 'pull'; readonly number: number }
  | { readonly about: 'nothing'; readonly event: string }

const Moved = z.object({
  ref: z.string(),
  after: z.string().optional(),
  sha: z.string().optional(),
  ref_type: z.string().optional(),
})
const Concerned = z.object({ number: z.number().int().positive() })

/** The exact event: the coarse one is empty for some, and says the same of a comment as of a review. */
export function eventOf(headers: IncomingHttpHeaders): string {
  const names = ['event-type', 'event'].flatMap((name) => ['forgejo', 'gitea', 'github'].map((of) => `x-${of}-${name}`))
  return names.map((name) => headers[name]?.toString() ?? '').find((event) => event !== '') ?? ''
}

/** Reads what a delivery is about. What cannot be read may be about the branch: one look too many costs nothing. Pure. */
export function hintOf(event: string, body: Buffer, branch: string): Hint {
  switch (event) {
    case '':
    case 'push':
    case 'create':
    case 'delete':
      return branchHint(event, body, branch)
    case 'pull_request':
    case 'pull_request_sync':
    case 'pull_request_review_request':
    case 'pull_request_review_approved':
    case 'pull_request_review_rejected':
    case 'pull_request_review_comment': {
      const concerned = Concerned.safeParse(parseJson(body))
      return concerned.success ? { about: 'pull', number: concerned.data.number } : { about: 'nothing', event }
    }
    default:
      return { about: 'nothing', event }
  }
}

function branchHint(event: string, body: Buffer, branch: string): Hint {
  const { success, data } = Moved.safeParse(parseJson(body))
  if (!success) return { about: 'branch' }
  const { ref, ref_type, after, sha } = data
  // Of the hook's kind `gitea`, and in a test delivery, the name is a short one.
  const isOurs = ref_type !== 'tag' && (ref === branch || ref === `refs/heads/${branch}`)
  if (!isOurs) return { about: 'nothing', event: `${event} of ${ref.slice(0, 200)}` }
  const commit = after ?? sha
  return commit === undefined ? { about: 'branch' } : { about: 'branch', commit }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
