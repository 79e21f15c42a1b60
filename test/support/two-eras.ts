import { afterEach, beforeEach } from 'vitest'
import type { Table } from '#manifests/table.ts'
import { openUpstream, type Upstream } from './mcp-upstream.ts'
import { type OpenProxy, openProxy, serverAt } from './proxy.ts'
import { until } from './until.ts'

/** A proxy in front of a server of each era, which knows nothing of the other one. */
export interface TwoEras {
  readonly proxy: OpenProxy
  readonly old: Upstream
  readonly fresh: Upstream
  servers(): { readonly old: Table['servers'][string]; readonly fresh: Table['servers'][string] }
  /** Puts other agents in force. */
  use(agents: Table['agents']): void
  /** Waits until the proxy knows what both speak and have. */
  known(): Promise<unknown>
}

/** They are new for each test. */
export function twoErasForEachTest(agents: Table['agents']): TwoEras {
  let proxy: OpenProxy
  let old: Upstream
  let fresh: Upstream
  const servers = () => ({ old: serverAt('old', old.origin), fresh: serverAt('fresh', fresh.origin) })
  beforeEach(async () => {
    proxy = await openProxy()
    old = await openUpstream('v1-sessions')
    fresh = await openUpstream('v2-strict')
    proxy.use({ agents, servers: servers() })
  })
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]()
    await old[Symbol.asyncDispose]()
    await fresh[Symbol.asyncDispose]()
  })
  return {
    get proxy() {
      return proxy
    },
    get old() {
      return old
    },
    get fresh() {
      return fresh
    },
    servers,
    use: (others) => proxy.use({ agents: others, servers: servers() }),
    known: () =>
      until('both are known', () =>
        Object.values(servers()).every(({ generation }) => proxy.gateway.probes.known(generation)),
      ),
  }
}
