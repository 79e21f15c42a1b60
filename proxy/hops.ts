import { AsyncLocalStorage } from 'node:async_hooks'
import { createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** A gateway may be another one's server, and nobody needs more of them in a row. */
const most = 4
const own = /^\s*1\.1\s+(commons-gateway-[\da-f]+)\s*$/

/** The gateways through which the request that is served has come. */
const passed = new AsyncLocalStorage<readonly string[]>()

/** What a gateway is called in `Via` (RFC 9110, 7.6.3); the same for all proxies that have the key. */
export function pseudonymOf(key: Buffer): string {
  return `commons-gateway-${createHmac('sha256', key).update('via').digest('hex').slice(0, 16)}`
}

/** Serves a request; all that it sends on has come one gateway further. Throws a `Refusal` where a gateway leads back to itself. */
export function countHops<T>({ headers: { via } }: IncomingMessage, pseudonym: string, serve: () => T): T {
  if (via === undefined) return serve()
  const through = via.split(',').flatMap((entry) => own.exec(entry)?.[1] ?? [])
  if (through.includes(pseudonym) || through.length >= most) throw new Refusal('loop')
  return passed.run(through, serve)
}

/** Tells apart by which gateways something came: who waits for what was begun for another may wait for itself. */
export function wayHere(): string {
  return passed.getStore()?.join() ?? ''
}

/** `Via` for what is sent on now. */
export function viaOf(pseudonym: string): string {
  const through = passed.getStore()
  return through === undefined ? `1.1 ${pseudonym}` : [...through, pseudonym].map((name) => `1.1 ${name}`).join(', ')
}
