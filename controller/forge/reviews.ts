import type { Consent } from '../consent.ts'
import type { Pull, Review } from './answers.ts'

/** What the forge records of the commit of a branch. */
export type Recorded =
  /** It was not asked, or did not answer. */
  | { readonly kind: 'unknown'; readonly because: string }
  /** It came by no pull request that was merged. */
  | { readonly kind: 'none' }
  | ({ readonly kind: 'pull' } & Opinion)

/** What others say of a pull request as it stands. */
export interface Opinion {
  readonly number: number
  readonly author: string
  /** Logins of others who approve of its very head, and of those who reject it, at whatever head. */
  readonly approvals: readonly string[]
  readonly rejections: readonly string[]
}

/**
 * The last word of each reviewer counts; comments are none. An approval of an older head is none either, a rejection stands until
 * it is lifted. Only official reviews count: whoever may merely read can neither consent nor block. Pure.
 */
export function opinionOf({ number, author, head }: Pull, reviews: readonly Review[]): Opinion {
  const counted = reviews.filter(
    ({ state, official, dismissed }) => official && !dismissed && (state === 'APPROVED' || state === 'REQUEST_CHANGES'),
  )
  const last = new Map(counted.toSorted((a, b) => a.id - b.id).map((review) => [review.author, review]))
  const others = [...last.values()].filter((review) => review.author !== author && review.author !== '')
  const approvals = others.filter(({ state, commit, stale }) => state === 'APPROVED' && commit === head && !stale)
  const rejections = others.filter(({ state }) => state === 'REQUEST_CHANGES')
  const logins = (list: readonly Review[]) => list.map((review) => review.author).sort()
  return { number, author, approvals: logins(approvals), rejections: logins(rejections) }
}

/** Whether that is enough, or what is missing, in words. Pure. */
export function consentOf({ number, author, approvals, rejections }: Opinion, needed: number): Consent {
  if (rejections.length > 0)
    return { given: false, because: `${rejections.join(', ')} requests changes of pull request ${number}` }
  const missing = needed - approvals.length
  if (missing <= 0) return { given: true }
  const more = `${missing} more ${missing === 1 ? 'approval' : 'approvals'}`
  return {
    given: false,
    because: `pull request ${number} needs ${more} by someone else than ${author || 'its author'}`,
  }
}

/** What is said of commits together: each must have come by a pull request of its own that enough others consent to. Pure. */
export function consentToAll(
  commits: readonly string[],
  recorded: (commit: string) => Recorded,
  needed: number,
): Consent {
  for (const commit of commits) {
    const consent = consentToOne(commit, recorded(commit), needed)
    if (!consent.given) return consent
  }
  return { given: true }
}

function consentToOne(commit: string, recorded: Recorded, needed: number): Consent {
  const name = commit.slice(0, 12)
  switch (recorded.kind) {
    case 'unknown':
      return { given: false, because: `what the forge records of ${name} is not known yet: ${recorded.because}` }
    case 'none':
      return { given: false, because: `${name} came by no pull request that the forge records as merged` }
    case 'pull':
      return consentOf(recorded, needed)
    default:
      return recorded satisfies never
  }
}
