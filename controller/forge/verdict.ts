import type { Preview } from './preview.ts'
import { contexts, type Said, say } from './statuses.ts'

/** What the forge shows of a pull request's head until its plan is ready. */
export function beingLookedAt(number: number): Said {
  return { ...say(contexts.validate, 'pending', 'is being looked at'), page: pageOf(number) }
}

/** What the forge shows of a pull request's head: one that nothing would come of passes, too. Pure. */
export function verdictOf(number: number, preview: Preview): Said {
  return { ...judgement(preview), page: pageOf(number) }
}

function judgement(preview: Preview): Said {
  const { validate } = contexts
  if (preview.kind === 'invalid') {
    const { errors } = preview
    return say(validate, 'failure', `${errors.length === 1 ? '' : `${errors.length} errors: `}${errors[0] ?? ''}`)
  }
  const { plan, escalations, held } = preview
  const marks = [
    ...(held.length === 0 ? [] : ['in part held until approved']),
    ...(escalations.length === 0 ? [] : ['ESCALATION']),
  ]
  return say(validate, 'success', [...marks, plan.at(-1) ?? ''].join('; '))
}

function pageOf(number: number): string {
  return `/pulls/${number}`
}
