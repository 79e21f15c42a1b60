import type { Aim } from './aim.ts'
import type { ObservedProxy, Sight, Wanted } from './host.ts'
import { retryAt } from './patience.ts'
import { itself, type Observed, type Step } from './step.ts'

/** Edge and one proxy of the version that is wanted, beside nothing older. */
export function planGateway(aim: Aim, wanted: Wanted, observed: Observed): Step[] {
  const { sight } = observed
  const stays = serves(sight) ? stalled(wanted.proxy, aim, observed) : undefined
  return [...(stays ?? planEdge(wanted, sight)), ...planController(aim, wanted, observed)]
}

/** The controller itself comes last, when all else is as the commit says. */
function planController(aim: Aim, { controller }: Wanted, observed: Observed): Step[] {
  if (controller === undefined) return []
  const because = 'the commit has another version of it'
  return stalled(controller, aim, observed) ?? [{ do: 'controller', change: 'replace', because }]
}

/** What failed for this very commit is not tried again, or not yet. */
function stalled(spec: string, { commit }: Aim, { failures, now }: Observed): Step[] | undefined {
  const failure = failures.get(itself)
  if (failure?.spec !== spec || failure.commit !== commit) return undefined
  if ((retryAt(failure) ?? Number.POSITIVE_INFINITY) <= now) return undefined
  return [{ do: 'hold', server: itself, phase: 'stalled', because: failure.reason }]
}

function serves({ edge, proxies }: Sight): boolean {
  if (edge?.state !== 'running') return false
  return proxies.some(({ state, startedAt }) => state === 'running' && startedAt >= edge.startedAt)
}

function planEdge(wanted: Wanted, { edge, proxies }: Sight): Step[] {
  if (edge === undefined) return [step('edge', 'create', 'no edge yet'), ...planProxy(wanted, proxies, undefined)]
  if (edge.address !== wanted.address)
    return [
      step('edge', 'replace', `published address changed: ${edge.address} → ${wanted.address}`),
      step('proxy', 'replace', 'edge replaced'),
    ]
  if (edge.state !== 'running')
    return [step('edge', 'create', 'edge does not run'), step('proxy', 'replace', 'edge restarted')]
  if (edge.drift !== undefined) return [step('edge', 'mend', edge.drift), ...planProxy(wanted, proxies, edge.startedAt)]
  return planProxy(wanted, proxies, edge.startedAt)
}

function planProxy(wanted: Wanted, proxies: readonly ObservedProxy[], edgeStartedAt: number | undefined): Step[] {
  const running = proxies.filter(({ state }) => state === 'running')
  const current = running.find(({ spec }) => spec === wanted.proxy)
  if (running.length === 0) return [step('proxy', 'create', proxies.length === 0 ? 'no proxy yet' : 'no proxy runs')]
  if (edgeStartedAt !== undefined && running.some(({ startedAt }) => startedAt < edgeStartedAt))
    return [step('proxy', 'replace', 'edge restarted')]
  if (current === undefined) return [step('proxy', 'replace', 'the gateway has a new version')]
  if (running.length > 1) return [step('proxy', 'replace', 'an older proxy still runs')]
  return current.drift === undefined ? [] : [step('proxy', 'mend', current.drift)]
}

function step(what: 'edge' | 'proxy', change: 'create' | 'replace' | 'mend', because: string): Step {
  return { do: what, change, because }
}
