import type { Credential } from '#manifests/table.ts'
import { Refusal } from './refusal.ts'

/** An answer that is not MCP; the words say what it is. */
export class Unfit extends Error {
  override readonly name = 'Unfit'
}

interface Answered {
  readonly status: number
  header(name: string): string | undefined
}

/**
 * Why an answer is none, whatever it holds; undefined where it may be one. What an upstream says of credentials and of other
 * addresses is said to the gateway alone: no client sees a challenge, and no redirect is followed.
 */
export function unfit(server: string, credential: Credential | undefined, head: Answered): Refusal | undefined {
  const { status } = head
  const why = `HTTP ${status}`
  if (status === 401 || status === 403 || status === 407)
    return new Refusal(credential === undefined ? 'no-credential' : 'credential', { server, why })
  if (status >= 300 && status < 400)
    return new Refusal('answer', {
      server,
      why: head.header('location') === undefined ? why : `${why}, a redirect, which is not followed`,
    })
  const encoding = head.header('content-encoding') ?? 'identity'
  if (encoding !== 'identity')
    return new Refusal('answer', { server, why: `Content-Encoding: ${encoding.slice(0, 40)}` })
  return undefined
}
