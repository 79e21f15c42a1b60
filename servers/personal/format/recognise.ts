import { type Content, encodingOf } from '../folder/content.ts'
import { readTable } from '../text/csv.ts'
import { apple } from './apple.ts'
import { fit } from './fit.ts'
import type { Format, Head } from './format.ts'
import { garmin } from './garmin.ts'
import { lastfm } from './lastfm.ts'
import { letterboxd } from './letterboxd.ts'
import { listenbrainz } from './listenbrainz.ts'
import { spotifyBasic, spotifyExtended } from './spotify.ts'
import { steam } from './steam.ts'
import { strava } from './strava.ts'
import { openscale, plainWeights, withings } from './weights.ts'

/** The more particular first. */
const formats: readonly Format[] = [
  ...[fit, apple, listenbrainz, lastfm, spotifyExtended, spotifyBasic, steam],
  ...[letterboxd, strava, garmin, openscale, withings, plainWeights],
]

export function headOf(path: string, { head: bytes }: Pick<Content, 'head'>): Head {
  const encoding = encodingOf(bytes)
  const isText = encoding !== 'utf-8' || !bytes.includes(0)
  const text = isText ? new TextDecoder(encoding).decode(bytes) : ''
  return { path, bytes, text, table: /^\s*[[{<]/.test(text) ? undefined : readTable(text) }
}

export function recognise(head: Head): Format | undefined {
  return formats.find((format) => format.holds(head))
}

const exportLike = /\.(csv|tsv|json|jsonl|ndjson|xml|fit|zip|gz)$/i

/** Why a file that nothing recognises is worth a word; undefined for one that nobody would take for an export. */
export function strangeness({ path, bytes }: Head): string | undefined {
  if (!exportLike.test(path)) return undefined
  if (bytes.length === 0) return 'empty'
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return 'a zip: unpack it, what is in it may be read then'
  return 'not one of the exports that are known'
}
