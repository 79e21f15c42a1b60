import { z } from 'zod'
import { type Listen, type Unusable, unusable } from '../record.ts'
import { readEntries } from '../text/json.ts'
import { isInstant } from '../zone.ts'
import type { Format } from './format.ts'

const Text = z.union([z.object({ '#text': z.string() }).transform((named) => named['#text']), z.string()])
const Track = z.object({
  artist: z.union([Text, z.object({ name: z.string() }).transform(({ name }) => name)]),
  album: Text.optional().catch(undefined),
  name: z.string().min(1),
  date: z.object({ uts: z.coerce.number().refine(isInstant) }).optional(),
})

/** Pages of `user.getRecentTracks`, one or a list of them; a page's only track is not in a list. */
export const lastfm: Format = {
  name: 'Last.fm',
  holds: ({ text }) => text.includes('"recenttracks"') && /^\s*[[{]/.test(text),
  read: async function* ({ content }) {
    for await (const entry of readEntries(content.text(), /^(\d+\.)?recenttracks\.track(\.\d+)?$/)) {
      const track = toListen(entry)
      if (track !== undefined) yield track
    }
  },
}

/** Nothing for the one that plays just now: it has no time yet, and comes again when it has. */
function toListen(entry: unknown): Listen | Unusable | undefined {
  const { data } = Track.safeParse(entry)
  if (data === undefined) return unusable('no artist or track')
  const { artist, album = '', name, date } = data
  return date === undefined ? undefined : { kind: 'listen', at: date.uts, artist, title: name, album }
}
