import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'
import { expired, type Snapshot } from './table.ts'

export interface Holding {
  readonly agent: string
  /** SHA-256 of the token, hex. */
  readonly hash: string
}

const bearer = /^Bearer +(\S+) *$/i

/** Who the bearer of a request's token is; throws a `Refusal` that says which file to change. */
export function authenticate(snapshot: Snapshot, request: IncomingMessage, now: number): Holding {
  const file = snapshot.grantsFile
  const token = bearer.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) throw new Refusal('token-missing', { file })
  const digest = hash('sha256', token)
  const name = snapshot.holders.get(digest)
  const agent = snapshot.agents.get(name ?? '')
  if (name === undefined || agent === undefined) throw unknown(snapshot, token, digest)
  if (expired(agent, now)) throw new Refusal('token-expired', { agent: name, file, expires: agent.expires ?? '' })
  return { agent: name, hash: digest }
}

function unknown(snapshot: Snapshot, token: string, digest: string): Refusal {
  const file = snapshot.grantsFile
  const agent =
    snapshot.holders.get(hash('sha256', `${token}\n`)) ?? snapshot.holders.get(hash('sha256', `${token}\r\n`))
  return agent === undefined
    ? new Refusal('token-unknown', { file })
    : new Refusal('token-newline', { agent, file, hash: digest })
}
