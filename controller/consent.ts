/** What a forge says of a commit of the branch: which pull request brought it, and what others thought of that. */
export type Review =
  | { readonly kind: 'unknown'; readonly because: string }
  | { readonly kind: 'none' }
  | {
      /** A merged pull request; only official reviews of others than its author count, the last one of each. */
      readonly kind: 'pull'
      readonly number: number
      readonly approvals: number
      readonly rejections: number
    }

/** Whether others have said enough of the commits that a head brings for it to widen access, or why not. */
export type Consent = { readonly given: true } | { readonly given: false; readonly because: string }

/** Every commit must have come by a merged pull request that nobody rejects and enough others approve. Pure. */
export function consentTo(commits: readonly string[], approvals: number, reviews: (commit: string) => Review): Consent {
  for (const commit of commits) {
    const because = objection(reviews(commit), commit.slice(0, 12), approvals)
    if (because !== undefined) return { given: false, because }
  }
  return { given: true }
}

function objection(review: Review, commit: string, approvals: number): string | undefined {
  switch (review.kind) {
    case 'unknown':
      return review.because
    case 'none':
      return `no merged pull request brought ${commit}`
    case 'pull':
      if (review.rejections > 0) return `pull request ${review.number} has a rejecting review`
      return review.approvals >= approvals
        ? undefined
        : `pull request ${review.number} has ${review.approvals} of ${approvals} approvals`
    default:
      return review satisfies never
  }
}
