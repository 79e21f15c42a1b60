import type { Errand } from './errand.ts'
import type { Body, Message } from './message.ts'
import { find } from './relabel.ts'
import { unsealed } from './round.ts'
import { replace, splice } from './splice.ts'

const stateful: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])
/** What the text must have for a state to be in it, however its key is written. */
export const mayHoldState = /requestState|\\u/

/** The request of a modern client that may be answered with a state that it has to bring back. */
function statefulIn({ messages: [message] }: Body): Message | undefined {
  return message !== undefined && stateful.has(message.method) ? message : undefined
}

/** A modern request as its server is to see it: with the state that it gave out. Throws a `Refusal` for what it did not give this agent. */
export function openState({ visit: { gateway, agent }, server }: Errand, body: Body, bytes: Buffer): Buffer {
  const message = statefulIn(body)
  if (message === undefined) return bytes
  const [state] = unsealed(gateway.seal, { message, agent, target: { server } })
  const found = find(message.text, ['params', 'requestState'])
  if (state === undefined || found === undefined) return bytes
  return Buffer.from(splice(message.text, [replace(found, JSON.stringify(state.value))]))
}

/** Seals what a server wants back, which it would take from whoever comes through the gateway; absent where it can want nothing back. */
export function stateSealer({ visit: { gateway, agent }, server }: Errand, body: Body) {
  const message = statefulIn(body)
  if (message === undefined) return undefined
  return (text: string): string => {
    const found = mayHoldState.test(text) ? find(text, ['result', 'requestState']) : undefined
    const state: unknown = found && JSON.parse(text.slice(found.at, found.to))
    if (found === undefined || typeof state !== 'string') return text
    const sealed = JSON.stringify(gateway.seal.close(state, { agent, server, message }))
    return splice(text, [replace(found, sealed)])
  }
}
