import type { Config } from '../config.ts'
import type { Host } from '../host.ts'

/** A controller, and the host that it runs servers on. */
export interface Product {
  /** Runs until the signal; rejects where an operator must act, with one clear line. */
  run(config: Config, signal: AbortSignal): Promise<void>
  openHost(config: Config, signal: AbortSignal): Promise<Host>
}

export const product: Product = {
  async run() {
    throw new Error('there is no controller yet')
  },
  async openHost() {
    throw new Error('there is no host yet')
  },
}
