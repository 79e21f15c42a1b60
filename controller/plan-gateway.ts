import type { ObservedProxy, Sight, Wanted } from './host.ts'
import type { Step } from './step.ts'

/** Edge and one proxy of this version, beside nothing older. */
export function planGateway(wanted: Wanted, { edge, proxies }: Sight): Step[] {
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
