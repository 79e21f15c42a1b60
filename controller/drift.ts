import type { Generation, ObservedGeneration } from './host.ts'
import { inUnits } from './size.ts'

/** How what runs is not as the generation was made, in words; undefined where it is. A limit of which the host tells nothing counts as right. */
export function driftOf({ limits }: Pick<Generation, 'limits'>, unit: ObservedGeneration): string | undefined {
  const now = unit.limits
  const words = [
    ...(unit.drift === undefined ? [] : [unit.drift]),
    ...limit('memory', inUnits(limits.memory), now?.memory === undefined ? undefined : inUnits(now.memory)),
    ...limit('CPU', `${limits.cpus}`, now?.cpus === undefined ? undefined : `${now.cpus}`),
    ...limit('process', `${limits.pids}`, now?.pids === undefined ? undefined : `${now.pids}`),
  ]
  return words.length === 0 ? undefined : words.join('; ')
}

function limit(what: string, wanted: string, found: string | undefined): string[] {
  return found === undefined || found === wanted
    ? []
    : [`its ${what} limit was changed by hand: ${found} instead of ${wanted}`]
}
