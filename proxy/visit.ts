import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gateway } from './gateway.ts'
import type { HostedSession } from './hosted.ts'
import type { Snapshot } from './table.ts'

/** One request of an agent that was let in, and the table that it sees. */
export interface Visit {
  readonly gateway: Gateway
  readonly snapshot: Snapshot
  readonly agent: string
  /** SHA-256 of its token. */
  readonly hash: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The one server that it is about; undefined at the joint endpoint. */
  readonly only?: string
  /** The legacy session of the gateway's own that it belongs to. */
  readonly session?: HostedSession
}
