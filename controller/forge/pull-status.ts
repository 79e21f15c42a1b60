import type { PullStatus } from '#manifests/status.ts'
import type { Preview } from './preview.ts'

/** A preview as the status server tells of it: the operator's view, which the public one is a part of. Pure. */
export function pullStatus(ends: Pick<PullStatus, 'number' | 'head' | 'base'>, preview: Preview): PullStatus {
  if (preview.kind === 'invalid')
    return { ...ends, phase: 'invalid', errors: [...preview.errors], plan: [], held: [], warnings: [] }
  const { plan, later, held, warnings, escalations, gains, losses, loosens, lacks } = preview
  return {
    ...ends,
    phase: 'valid',
    errors: [],
    plan: [...plan],
    ...(later === undefined ? {} : { later: [...later] }),
    held: [...held],
    warnings: [...warnings],
    access: {
      escalations: [...escalations],
      gains: [...gains],
      losses: [...losses],
      loosens: [...loosens],
      lacks: [...lacks],
    },
  }
}
