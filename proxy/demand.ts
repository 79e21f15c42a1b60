import { NotAnswered } from './hosted.ts'
import { isRecord, type Message } from './message.ts'
import { errorText } from './refusal.ts'
import { find } from './relabel.ts'
import { replace, splice } from './splice.ts'

/** Puts a server's question to whoever may answer it; throws `NotAnswered`. */
export type Put = (method: string, params: string) => Promise<Message>

/** The answer to a request that a server sends, as JSON text; undefined where the text is none. */
export async function replyTo(text: string, put: Put): Promise<string | undefined> {
  const parsed: unknown = JSON.parse(text)
  const id = find(text, ['id'])
  if (id === undefined || !isRecord(parsed) || typeof parsed.method !== 'string') return undefined
  const idText = text.slice(id.at, id.to)
  if (parsed.method === 'ping') return `{"jsonrpc":"2.0","id":${idText},"result":{}}`
  const params = find(text, ['params'])
  try {
    const answer = await put(parsed.method, params === undefined ? '{}' : text.slice(params.at, params.to))
    const theirs = find(answer.text, ['id'])
    return theirs === undefined ? answer.text : splice(answer.text, [replace(theirs, idText)])
  } catch (error) {
    return errorText(idText, { code: -32601, message: error instanceof NotAnswered ? error.message : 'ended' })
  }
}
