import type { Step } from './step.ts'

/** A plan as people read it, in Terraform's notation: a line for each step with its cause, and the sum. */
export function explain(steps: readonly Step[]): string {
  return explainLines(steps).join('\n')
}

export function explainLines(steps: readonly Step[]): readonly string[] {
  const rows = steps.map((step) => ({ sign: sign(step), name: nameOf(step), because: step.because }))
  const width = Math.max(0, ...rows.map(({ name }) => name.length))
  return [...rows.map(({ sign, name, because }) => `${sign.padEnd(3)} ${name.padEnd(width)}   ${because}`), sum(steps)]
}

/** Whether there is anything to do; what is merely held is not. */
export function isDifferent(steps: readonly Step[]): boolean {
  return steps.some((step) => step.do !== 'hold')
}

/** Servers that are not the same after these steps, or are held back from it. */
export function changedServers(steps: readonly Step[]): readonly string[] {
  return [...new Set(steps.flatMap((step) => ('server' in step && step.do !== 'retire' ? [step.server] : [])))]
}

function sign(step: Step): string {
  switch (step.do) {
    case 'roll':
      return { create: '+', 'start-first': '+/-', 'stop-first': '-/+' }[step.order]
    case 'controller':
      return '+/-'
    case 'edge':
    case 'proxy':
      if (step.change === 'mend') return '~'
      return step.change === 'create' ? '+' : step.do === 'edge' || step.because === 'edge restarted' ? '-/+' : '+/-'
    case 'route':
      return step.change === 'create' ? '+' : '~'
    case 'grant':
    case 'revoke':
    case 'mend':
      return '~'
    case 'retire':
    case 'remove':
      return '-'
    case 'resume':
      return '+'
    case 'hold':
    case 'halt':
      return '!'
    default:
      return step satisfies never
  }
}

function nameOf(step: Step): string {
  switch (step.do) {
    case 'grant':
    case 'revoke':
      return step.agent
    case 'controller':
    case 'edge':
    case 'proxy':
      return step.do
    case 'retire':
      return `${step.server}@${step.generation.spec.slice(0, 8)}`
    case 'halt':
    case 'hold':
    case 'mend':
    case 'remove':
    case 'resume':
    case 'roll':
    case 'route':
      return step.server
    default:
      return step satisfies never
  }
}

function sum(steps: readonly Step[]): string {
  const rolls = steps.filter((step) => step.do === 'roll')
  const count = (what: Step['do']) => steps.filter((step) => step.do === what).length
  const created = rolls.filter(({ order }) => order === 'create').length
  const optional = (number: number, words: string) => (number === 0 ? [] : [`${number} ${words}`])
  const granted = count('grant')
  const mended = steps.filter((step) => (step.do === 'edge' || step.do === 'proxy') && step.change === 'mend').length
  return [
    `${rolls.filter(({ build }) => build).length} to build`,
    ...optional(created, 'to create'),
    `${rolls.length - created} to replace`,
    `${count('remove')} to remove`,
    ...optional(count('resume'), 'to start again'),
    ...optional(count('mend') + mended, 'to put right'),
    ...optional(count('route'), 'to route'),
    ...optional(count('hold'), 'held'),
    ...optional(granted, granted === 1 ? 'grant added' : 'grants added'),
    ...optional(count('revoke'), 'revoked'),
  ].join(', ')
}
