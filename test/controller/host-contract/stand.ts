import { expect } from 'vitest'
import type { Generation, Host, ObservedGeneration } from '../../../controller/host.ts'
import { buildInputOf } from '../../support/build-input.ts'
import { find, generationOf, requestOf } from '../../support/stage.ts'
import { witness } from '../../support/witness.ts'

/** A host on an instance of its own, whose product is `stubProduct`, and the eyes that the contract needs beside it. */
export interface Fixture {
  readonly instance: string
  readonly host: Host
  /** Opens another host on the same instance and state, as a restarted controller does; a `newer` one has another product. */
  reopen(product?: 'same' | 'newer'): Promise<Host>
  /** GETs from where proxies stand: the body of a 2xx answer, else an error. */
  fetchFromProxy(url: string): Promise<string>
  /** Origin at which this machine reaches the published address. */
  readonly published: string
  /** Whether the host can keep a server from writing to a folder that is mounted into it. */
  readonly mountsReadOnly: boolean
  /** Ends and removes everything, and closes every host that it opened. */
  close(): Promise<void>
}

export const { signal } = new AbortController()
export const made = buildInputOf(witness)

/** Where the contract is tried: one instance that is ready, and the way to others. */
export interface Stand {
  readonly fixture: Fixture
  readonly host: Host
  /** Another instance, which is not ready yet. */
  open(): Promise<Fixture>
  /** Starts a generation of the witness, and waits until it answers. */
  start(of?: Partial<Generation>): Promise<ObservedGeneration & { readonly upstream: string }>
}

export async function makeReady(host: Host): Promise<void> {
  await host.prepare(() => {}, signal)
  await host.startEdge(signal)
  await host.startProxy(signal)
  await host.build(requestOf('witness', made), signal)
}

/** `fixture` is asked for once tests run: an instance takes its time to open. */
export function standOn(fixture: () => Fixture, open: Stand['open']): Stand {
  return {
    open,
    get fixture() {
      return fixture()
    },
    get host() {
      return fixture().host
    },
    async start(of = {}) {
      const { host, fetchFromProxy } = fixture()
      const generation = generationOf(made, of)
      await host.start(generation, signal)
      const unit = await find(host, generation.spec)
      const { upstream } = unit
      if (upstream === undefined)
        throw new Error(`${unit.name} has no upstream: ${await host.logs(unit.id, 20, signal)}`)
      await expect.poll(() => fetchFromProxy(upstream).catch(String)).toBe('here')
      return { ...unit, upstream }
    },
  }
}
