import { legacyHeaders } from './envelope.ts'
import type { Gateway } from './gateway.ts'
import type { HostedSession } from './hosted.ts'
import { tell } from './leg.ts'
import type { PooledSession } from './pool.ts'

/** ms */
const tellLimit = 5_000

/** Tells a legacy server which log messages the client takes, as soon as that was said and the server has any. */
export function passLevel(gateway: Gateway, { level }: HostedSession, own: PooledSession): void {
  const { target } = own
  if (level === undefined || gateway.probes.known(target.generation)?.capabilities.logging === undefined) return
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'level', method: 'logging/setLevel', params: { level } })
  const signal = AbortSignal.timeout(tellLimit)
  tell(gateway, { target, method: 'POST', headers: legacyHeaders(own), body, signal })
}
