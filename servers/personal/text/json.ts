import { none } from 'stream-chain/core'
import { exec } from 'stream-chain/exec.js'
import { pick } from 'stream-json/core/filters/pick.js'
import { parser } from 'stream-json/core/parser.js'
import { streamValues } from 'stream-json/core/streamers/stream-values.js'
import { Unreadable } from '../record.ts'

/** Characters that one entry may have; more are no entry of an export. */
const longest = 4_000_000

/**
 * The objects of a JSON text whose place fits, one after the other. A place is the keys that lead there, from the
 * outermost, with dots between: `response.games.0`.
 */
export async function* readEntries(text: AsyncIterable<string>, place: RegExp): AsyncGenerator<unknown> {
  const feed = createFeed(place)
  let since = 0
  for await (const chunk of text) {
    const entries = await feed(chunk)
    since = entries.length > 0 ? 0 : since + chunk.length
    if (since > longest) throw new Unreadable(`no entry within ${longest} characters`)
    yield* entries
  }
  yield* await feed(none)
}

/** Takes pieces of JSON and, for its end, `none`; gives the entries that end within each. */
function createFeed(place: RegExp): (piece: string | typeof none) => Promise<readonly unknown[]> {
  const isEntry = (path: readonly unknown[], token: { readonly name: string }) =>
    token.name === 'startObject' && place.test(path.join('.'))
  const feed = exec(parser({ packValues: true, streamValues: false }), pick({ filter: isEntry }), streamValues())
  return async (piece) => {
    const entries: unknown[] = []
    try {
      await feed(piece, ({ value }) => void entries.push(value))
    } catch (error) {
      throw new Unreadable(`not whole JSON: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
    return entries
  }
}

/** The lines of a text without their ends, and the last one even if it has none. */
export async function* readLines(text: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of text) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longest) throw new Unreadable(`a line of more than ${longest} characters`)
    yield* lines
  }
  if (rest !== '') yield rest
}
