import type { Gateway } from './gateway.ts'
import { tell } from './leg.ts'
import type { Target } from './table.ts'

const limit = 2_000

export interface Cancelling {
  readonly target: Target
  readonly headers: Readonly<Record<string, string>>
  /** JSON text of the request's id. */
  readonly id: string
}

/** A legacy server goes on when nobody listens any more; it has to be told. */
export function cancel(gateway: Gateway, { target, headers, id }: Cancelling): void {
  const body = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
  tell(gateway, { target, method: 'POST', headers, body, signal: AbortSignal.timeout(limit) })
}
