import { grantedServers, grantOf, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

/** What the joint endpoint has for an agent, by the protocol's names of capabilities. */
export interface Offer {
  readonly tools: object
  readonly prompts?: object
  readonly resources?: object
  readonly completions?: object
}

/** What some server that the agent may use has, as far as that is known, and the grant covers. */
export function offerOf(visit: Visit): Offer {
  const { snapshot, agent } = visit
  const has = new Set<string>()
  for (const server of grantedServers(snapshot, agent)) {
    const target = servingTarget(snapshot, server)
    const grant = grantOf(snapshot, agent, server)
    const found = target && visit.gateway.probes.known(target.generation)?.capabilities
    if (grant === undefined || found === undefined) continue
    for (const kind of ['prompts', 'resources'] as const) if (kind in found && grant[kind].length > 0) has.add(kind)
    if ('completions' in found && grant.prompts.length + grant.resources.length > 0) has.add('completions')
  }
  const listed = { listChanged: true }
  const more = [...has].sort().map((name) => [name, name === 'completions' ? {} : listed] as const)
  return { tools: listed, ...Object.fromEntries(more) }
}

const needed: Readonly<Record<string, keyof Offer>> = {
  'prompts/list': 'prompts',
  'prompts/get': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resources',
  'resources/read': 'resources',
  'completion/complete': 'completions',
}

/** Whether a method is one of what is offered: what is not advertised is not there. */
export function offers(visit: Visit, method: string): boolean {
  const name = needed[method]
  return name === undefined || offerOf(visit)[name] !== undefined
}
