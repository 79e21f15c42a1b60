import { AsyncLocalStorage } from 'node:async_hooks'
import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** Says to the next gateway through how many a request has come. */
export const hopsHeader = 'gateway-hops'
/** A gateway may be another one's server, and nobody needs more of them in a row. */
const most = 4

const passed = new AsyncLocalStorage<number>()

/** Serves a request; all that it sends on has come one gateway further. Throws a `Refusal` where a gateway leads back to itself. */
export function countHops<T>({ headers }: IncomingMessage, serve: () => T): T {
  const said = headers[hopsHeader]
  if (said === undefined) return serve()
  const count = /^\d{1,3}$/.test(String(said)) ? Number(said) : most
  if (count >= most) throw new Refusal('loop', { count: String(most) })
  return passed.run(count, serve)
}

/** The header for what is sent on now. */
export function hops(): Readonly<Record<string, string>> {
  return { [hopsHeader]: String((passed.getStore() ?? 0) + 1) }
}
