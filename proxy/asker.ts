import { metaKeys, ownEnvelope } from './envelope.ts'
import { type HostedSession, NotAnswered } from './hosted.ts'
import { isRecord, type Message } from './message.ts'
import type { Sink } from './reply.ts'

/** Who wants an answer, as far as the server may ask them something. */
export interface Asker {
  /** What they can be asked, by the protocol's names of capabilities. */
  readonly capabilities: Readonly<Record<string, unknown>>
  /** Puts a server's question to them; undefined where nothing reaches them before their answer. */
  readonly ask: Sink['ask']
  /** A question's params in which it says whose it is, where the client could not know. */
  readonly sign?: (method: string, params: string) => string
  /** Their legacy session at the gateway. */
  readonly session?: HostedSession
}

const known = ['elicitation', 'sampling', 'roots']

/** Who sent a request, in either era. */
export function askerOf(message: Message, sink: Sink, session?: HostedSession): Asker {
  if (session !== undefined) return { capabilities: pick(session.client.capabilities), ask: sink.ask, session }
  const meta = message.params._meta
  const declared = isRecord(meta) ? meta[metaKeys.capabilities] : undefined
  return { capabilities: isRecord(declared) ? pick(declared) : none, ask: undefined }
}

const none = {} as const

/** Extensions are not offered: nothing here could carry them. */
function pick(capabilities: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const own = known.filter((name) => Object.hasOwn(capabilities, name))
  return own.length === 0 ? none : Object.fromEntries(own.map((name) => [name, capabilities[name]]))
}

/** The envelope of a modern request in the name of a client. */
export function envelopeFor({ capabilities, session }: Asker): Readonly<Record<string, unknown>> {
  if (capabilities === none && session === undefined) return ownEnvelope
  return {
    ...ownEnvelope,
    [metaKeys.capabilities]: capabilities,
    ...(session !== undefined && isRecord(session.client.info) && 'name' in session.client.info
      ? { [metaKeys.client]: session.client.info }
      : {}),
    ...(session?.level === undefined ? {} : { [metaKeys.level]: session.level }),
  }
}

/** Puts a server's question to a client; throws `NotAnswered` where that cannot be done. */
export function putTo({ ask }: Asker, method: string, params: string, signal: AbortSignal): Promise<Message> {
  if (ask === undefined) throw new NotAnswered('nothing reaches the client before the answer')
  return ask(method, params, signal)
}
