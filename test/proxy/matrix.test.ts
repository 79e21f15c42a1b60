import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientKinds, connectMatrixClient, type MatrixClient } from '../support/matrix/clients.ts'
import { type Feature, features, type Pair, type Place } from '../support/matrix/features.ts'
import { impossible } from '../support/matrix/impossible.ts'
import {
  type MatrixUpstream,
  openMatrixUpstream,
  type UpstreamKind,
  upstreamKinds,
} from '../support/matrix/upstreams.ts'
import { agentWith, as, type OpenProxy, openProxy, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const names: Readonly<Record<UpstreamKind, string>> = {
  'v1 sessionful': 'old',
  'v2 strict': 'strict',
  'v2 default': 'both',
  stdio: 'stdio',
}
const asItIs = (text: string) => text
const places = (name: string): readonly Place[] => [
  { path: `/mcp/${name}`, tool: asItIs, prompt: asItIs, uri: asItIs, asks: asItIs },
  {
    path: '/mcp',
    tool: (tool) => `${name}__${tool}`,
    prompt: (prompt) => `${name}__${prompt}`,
    uri: (uri) => `${name}+${uri}`,
    asks: (message) => `${name}: ${message}`,
  },
]

type Spot = Pick<Pair, 'clientKind' | 'upstreamKind' | 'place'> & { readonly title: string; readonly key: string }
const spots: readonly Spot[] = upstreamKinds.flatMap((upstreamKind) =>
  places(names[upstreamKind]).flatMap((place) =>
    clientKinds.map((clientKind) => ({
      ...{ clientKind, upstreamKind, place },
      title: `${place.path}: ${clientKind} to ${upstreamKind}`,
      key: `${clientKind}-${upstreamKind}-${place.path.slice(1)}`.replaceAll(/\W+/g, '-'),
    })),
  ),
)

let proxy: OpenProxy
const upstreams = new Map<UpstreamKind, MatrixUpstream>()
const clients = new Map<string, Promise<MatrixClient>>()
const servers = () =>
  Object.fromEntries([...upstreams].map(([kind, { origin }]) => [names[kind], serverAt(names[kind], origin)]))
/** One of each server for what its clients do side by side; those who lose their access are added. */
const agents: Record<string, ReturnType<typeof agentWith>> = Object.fromEntries(
  Object.values(names).map((name) => [name, agentWith(name, { [name]: wholeGrant })]),
)
const use = () => proxy.use({ agents, servers: servers() })

beforeAll(async () => {
  proxy = await openProxy()
  for (const kind of upstreamKinds) upstreams.set(kind, await openMatrixUpstream(kind))
  use()
  const known = () => Object.values(servers()).every(({ generation }) => proxy.gateway.probes.known(generation))
  await until('all servers are known', known)
})

afterAll(async () => {
  for (const client of await Promise.allSettled(clients.values()))
    if (client.status === 'fulfilled') await client.value[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  for (const upstream of upstreams.values()) await upstream[Symbol.asyncDispose]()
})

async function pairAt(spot: Spot): Promise<Pair> {
  const { clientKind, upstreamKind, place, key } = spot
  const upstream = upstreams.get(upstreamKind)
  if (upstream === undefined) throw new Error(`no ${upstreamKind}`)
  const url = proxy.url + place.path
  const known = clients.get(key)
  const opening = known ?? connectMatrixClient(clientKind, url, as(names[upstreamKind]))
  clients.set(key, opening)
  const openOther = async () => {
    const agent = `${key}-${Object.keys(agents).length}`
    agents[agent] = agentWith(agent, { [names[upstreamKind]]: wholeGrant })
    use()
    const revoke = () => {
      delete agents[agent]
      use()
    }
    return { client: await connectMatrixClient(clientKind, url, as(agent)), token: tokenOf(agent), revoke }
  }
  return { clientKind, upstreamKind, upstream, place, url, key, client: await opening, openOther }
}

const { restart, ...sideBySide } = features

/** A feature, or what is there instead of it. */
function cell(spot: Spot, [name, feature]: readonly [string, Feature], options: { readonly concurrent: boolean }) {
  const found = impossible.find((one) => one.feature === name && one.where(spot))
  const title = found === undefined ? name : `${name}: ${found.why}`
  test(title, options, async () => (found?.instead ?? feature)(await pairAt(spot)))
}

describe.concurrent.each(spots)('$title', (spot) => {
  for (const one of Object.entries(sideBySide)) cell(spot, one, { concurrent: false })
})

describe.each(upstreamKinds)('once %s was started again', (kind) => {
  const own = spots.filter(({ upstreamKind }) => upstreamKind === kind)
  beforeAll(async () => {
    for (const spot of own) await pairAt(spot)
    await upstreams.get(kind)?.restart()
  })
  describe.concurrent.each(own)('$title', (spot) => cell(spot, ['restart', restart], { concurrent: true }))
})

test('nothing of it was an error of the proxy', () => {
  const error = 50
  expect(proxy.lines.filter(({ level }) => Number(level) >= error)).toEqual([])
})

test('every cell that cannot be is one of the matrix', () => {
  for (const one of impossible) expect(spots.some((spot) => one.where(spot))).toBe(true)
})
