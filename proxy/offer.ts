import type { Grant } from '#manifests/table.ts'
import { isRecord } from './message.ts'
import { grantedServers, grantOf, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

/** What the joint endpoint has for an agent, by the protocol's names of capabilities. */
export interface Offer {
  readonly tools: object
  readonly prompts?: object
  readonly resources?: object
  readonly logging?: object
  readonly completions?: object
}

/** What some server that the agent may use has, as far as that is known, and the grant covers. */
export function offerOf(visit: Visit): Offer {
  const { snapshot, agent } = visit
  const has = new Set(
    grantedServers(snapshot, agent).flatMap((server) => {
      const target = servingTarget(snapshot, server)
      const grant = grantOf(snapshot, agent, server)
      const found = target && visit.gateway.probes.known(target.generation)?.capabilities
      return grant === undefined || found === undefined ? [] : partsOf(found, grant)
    }),
  )
  const listed = { listChanged: true }
  return {
    tools: listed,
    ...(has.has('prompts') && { prompts: listed }),
    ...(has.has('resources') && { resources: has.has('subscribe') ? { ...listed, subscribe: true } : listed }),
    ...(has.has('completions') && { completions: {} }),
    ...(has.has('logging') && { logging: {} }),
  }
}

function partsOf(found: Readonly<Record<string, unknown>>, grant: Grant): readonly string[] {
  const { prompts, resources, completions, logging } = found
  const mayRead = grant.resources.length > 0
  const parts = {
    prompts: prompts !== undefined && grant.prompts.length > 0,
    resources: resources !== undefined && mayRead,
    subscribe: isRecord(resources) && resources.subscribe === true && mayRead,
    completions: completions !== undefined && (grant.prompts.length > 0 || mayRead),
    logging: logging !== undefined,
  }
  return Object.entries(parts).flatMap(([part, is]) => (is ? part : []))
}

const needed: Readonly<Record<string, keyof Offer>> = {
  'prompts/list': 'prompts',
  'prompts/get': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resources',
  'resources/read': 'resources',
  'resources/subscribe': 'resources',
  'resources/unsubscribe': 'resources',
  'completion/complete': 'completions',
  'logging/setLevel': 'logging',
}

/** Whether a method is one of what is offered: what is not advertised is not there. */
export function offers(visit: Visit, method: string): boolean {
  const name = needed[method]
  return name === undefined || offerOf(visit)[name] !== undefined
}
