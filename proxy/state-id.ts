import { createHmac } from 'node:crypto'

/** Whose state at a server it is. */
export interface Holder {
  /** Empty for the gateway itself. */
  readonly agent: string
  /** The client's session, where it has one. */
  readonly session?: string
}

export const stateHeader = 'x-session-id'

/**
 * What a server that gives out no sessions tells its callers apart by, as the value of `X-Session-ID`: one for each agent and
 * session, the same at every proxy of the instance and after restarts. Says nothing of whom it stands for to who lacks the key.
 */
export function createStateIds(key: Buffer): (server: string, holder: Holder) => string {
  return (server, { agent, session }) =>
    createHmac('sha256', key)
      .update(JSON.stringify([stateHeader, server, agent, session ?? null]))
      .digest('base64url')
}
