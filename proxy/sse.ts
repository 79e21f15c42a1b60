import { createParser } from 'eventsource-parser'

/** Cuts a text/event-stream into the JSON-RPC messages that it carries; events of another type are none. */
export function createMessageParser(take: (text: string) => void): { feed(chunk: Buffer): void } {
  const decoder = new TextDecoder()
  const parser = createParser({
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
