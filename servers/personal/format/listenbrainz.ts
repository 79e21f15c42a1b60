import { z } from 'zod'
import { type Listen, type Unusable, unusable } from '../record.ts'
import { readEntries, readLines } from '../text/json.ts'
import { isInstant } from '../zone.ts'
import type { Format, Head } from './format.ts'

const Entry = z.object({
  listened_at: z.number().refine(isInstant),
  track_metadata: z.object({
    artist_name: z.string().min(1),
    track_name: z.string().min(1),
    release_name: z.string().nullish(),
    additional_info: z
      .object({ duration_ms: z.number().nullish().catch(null), duration: z.number().nullish().catch(null) })
      .nullish()
      .catch(null),
  }),
})

/** The export's lines of JSON, and what older ones and the API gave: one list, or one under `payload.listens`. */
export const listenbrainz: Format = {
  name: 'ListenBrainz',
  holds: ({ text }) => text.includes('"track_metadata"') && text.includes('"listened_at"'),
  read: async function* ({ head, content }) {
    if (isOneValue(head)) {
      for await (const entry of readEntries(content.text(), /^(payload\.listens\.)?\d+$/)) yield toListen(entry)
      return
    }
    for await (const line of readLines(content.text())) {
      if (line.trim() !== '') yield toListen(parseLine(line))
    }
  },
}

function isOneValue({ text }: Head): boolean {
  return /^\s*(\[|\{\s*"payload")/.test(text)
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function toListen(entry: unknown): Listen | Unusable {
  const { data } = Entry.safeParse(entry)
  if (data === undefined)
    return unusable(entry === undefined ? 'a line that is cut or no JSON' : 'no time, artist or track')
  const { artist_name, track_name, release_name, additional_info } = data.track_metadata
  const ms = additional_info?.duration_ms
  const seconds = typeof ms === 'number' ? ms / 1000 : (additional_info?.duration ?? undefined)
  return {
    kind: 'listen',
    at: data.listened_at,
    artist: artist_name,
    title: track_name,
    album: release_name ?? '',
    seconds,
  }
}
