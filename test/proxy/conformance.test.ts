import { beforeAll, describe, expect, test } from 'vitest'
import { required, runConformance, type Shown, type Suite } from '../support/conformance.ts'
import { openConformanceServer } from '../support/conformance-server.ts'
import { openUpstream } from '../support/mcp-upstream.ts'
import { agentWith, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

type Eras = Parameters<typeof openConformanceServer>[0]
type Path = '/mcp/suite' | '/mcp'

/** Runs a suite against the fixture behind a proxy, with another server beside it. */
async function behindProxy(suite: Suite, eras: Eras, path: Path): Promise<Shown> {
  await using fixture = await openConformanceServer(eras)
  await using other = await openUpstream('v2')
  await using proxy = await openProxy()
  const servers = { suite: serverAt('suite', fixture.origin, { prefix: '' }), other: serverAt('other', other.origin) }
  proxy.use({ agents: { a: agentWith('a', { suite: wholeGrant, other: wholeGrant }) }, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation) !== undefined),
  )
  return runConformance(proxy.url + path, 'a', suite)
}

async function direct(suite: Suite): Promise<Shown> {
  await using fixture = await openConformanceServer('both')
  return runConformance(`${fixture.origin}/mcp`, undefined, suite)
}

const runs = {
  'the fixture itself, 2025-11-25': () => direct('2025-11-25'),
  'the fixture itself, 2026-07-28': () => direct('2026-07-28'),
  '/mcp/<server>, 2025-11-25': () => behindProxy('2025-11-25', 'both', '/mcp/suite'),
  '/mcp/<server>, 2026-07-28': () => behindProxy('2026-07-28', 'both', '/mcp/suite'),
  '/mcp/<server>, 0.1.16': () => behindProxy('0.1.16', 'both', '/mcp/suite'),
  '/mcp, 2025-11-25': () => behindProxy('2025-11-25', 'both', '/mcp'),
  '/mcp, 2026-07-28': () => behindProxy('2026-07-28', 'both', '/mcp'),
  '/mcp, 0.1.16': () => behindProxy('0.1.16', 'both', '/mcp'),
  '/mcp/<server>, legacy client, modern server': () => behindProxy('2025-11-25', 'modern', '/mcp/suite'),
  '/mcp/<server>, modern client, legacy server': () => behindProxy('2026-07-28', 'legacy', '/mcp/suite'),
  '/mcp, legacy client, modern server': () => behindProxy('2025-11-25', 'modern', '/mcp'),
  '/mcp, modern client, legacy server': () => behindProxy('2026-07-28', 'legacy', '/mcp'),
}

const shown = new Map<string, Shown>()
beforeAll(async () => {
  await Promise.all(Object.entries(runs).map(async ([name, run]) => shown.set(name, await run())))
}, 300_000)

describe.each(Object.keys(runs))('%s', (name) => {
  const suite = name.includes('2025-11-25') || name.includes('legacy client') ? '2025-11-25' : '2026-07-28'
  test.each(required(suite))('%s', (scenario) => {
    expect(shown.get(name)?.get(scenario)).toEqual([])
  })
})
