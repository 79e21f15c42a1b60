import { createParser } from 'eventsource-parser'

/** Where a reader that is cut off goes on, as the stream says it; a header must be able to carry the id. */
export interface Place {
  id?: string | undefined
  /** ms */
  retry?: number
}

const headerText = /^[\x21-\x7e]+$/

/** Cuts a text/event-stream into the JSON-RPC messages that it carries; events of another type are none. Keeps `place` up to date. */
export function createMessageParser(take: (text: string) => void, place: Place = {}): { feed(chunk: Buffer): void } {
  const decoder = new TextDecoder()
  const parser = createParser({
    onId: (id) => {
      place.id = headerText.test(id) ? id : undefined
    },
    onRetry: (retry) => {
      place.retry = retry
    },
    onEvent: ({ data, event = 'message' }) => (data === '' || event !== 'message' ? undefined : take(data)),
  })
  return { feed: (chunk) => parser.feed(decoder.decode(chunk, { stream: true })) }
}

export const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const

/** One message as an event; JSON text has no raw newline only if it was written without indentation. */
export function eventOf(text: string): string {
  return `event: message\n${text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join('')}\n`
}
