import { z } from 'zod'
import { type Listen, type Unusable, unusable } from '../record.ts'
import { readEntries } from '../text/json.ts'
import { readMoment } from '../text/moment.ts'
import { isInstant, utc } from '../zone.ts'
import type { Format } from './format.ts'

/** Of all that Spotify tells, the address, the country and the device are left where they are. */
const Extended = z.object({
  ts: z.iso.datetime(),
  ms_played: z.number().min(0),
  master_metadata_track_name: z.string().nullish(),
  master_metadata_album_artist_name: z.string().nullish(),
  master_metadata_album_album_name: z.string().nullish(),
})

export const spotifyExtended: Format = {
  name: 'Spotify (extended)',
  holds: ({ text }) => text.includes('"ms_played"') && text.includes('"ts"') && /^\s*\[/.test(text),
  read: async function* ({ content }) {
    for await (const entry of readEntries(content.text(), /^\d+$/)) {
      const listen = fromExtended(entry)
      if (listen !== undefined) yield listen
    }
  },
}

/** Nothing for podcasts and books: they have no track. Spotify tells when a play ended. */
function fromExtended(entry: unknown): Listen | Unusable | undefined {
  const { data } = Extended.safeParse(entry)
  if (data === undefined) return unusable('no time or length')
  const { master_metadata_track_name: title, master_metadata_album_artist_name: artist } = data
  if (!title || !artist) return undefined
  const seconds = data.ms_played / 1000
  const at = Date.parse(data.ts) / 1000 - seconds
  if (!isInstant(at)) return unusable('no such time')
  return { kind: 'listen', at, artist, title, album: data.master_metadata_album_album_name ?? '', seconds }
}

const Basic = z.object({
  endTime: z.string(),
  artistName: z.string().min(1),
  trackName: z.string().min(1),
  msPlayed: z.number().min(0),
})

export const spotifyBasic: Format = {
  name: 'Spotify',
  holds: ({ text }) => text.includes('"endTime"') && text.includes('"msPlayed"') && /^\s*\[/.test(text),
  read: async function* ({ content }) {
    for await (const entry of readEntries(content.text(), /^\d+$/)) {
      if (!isPodcast(entry)) yield fromBasic(entry)
    }
  },
}

function isPodcast(entry: unknown): boolean {
  return z.object({ podcastName: z.string() }).safeParse(entry).success
}

/** Its clock is UTC, and shows the minute in which a play ended. */
function fromBasic(entry: unknown): Listen | Unusable {
  const { data } = Basic.safeParse(entry)
  const wall = readMoment(data?.endTime)
  const end = wall && utc.instant(wall)
  if (data === undefined || end === undefined) return unusable('no time, artist or track')
  const seconds = data.msPlayed / 1000
  return { kind: 'listen', at: end - seconds, artist: data.artistName, title: data.trackName, album: '', seconds }
}
