import { z } from 'zod'
import { type Game, Unreadable, type Unusable, unusable } from '../record.ts'
import { readEntries } from '../text/json.ts'
import type { Format } from './format.ts'

const Owned = z.object({
  appid: z.int(),
  name: z.string().optional(),
  playtime_forever: z.number().min(0).default(0),
  playtime_2weeks: z.number().min(0).default(0),
  rtime_last_played: z.number().min(0).default(0),
})

/** The answer of Steam's `GetOwnedGames`. */
export const steam: Format = {
  name: 'Steam',
  holds: ({ text }) =>
    /^\s*\{\s*"response"\s*:\s*\{/.test(text) && (/"(games|game_count)"/.test(text) || isPrivate(text)),
  read: async function* ({ head, content }) {
    if (isPrivate(head.text)) throw new Unreadable('an empty answer: the profile was private when Steam was asked')
    for await (const entry of readEntries(content.text(), /^response\.games\.\d+$/)) yield toGame(entry)
  },
}

function isPrivate(text: string): boolean {
  return /^\s*\{\s*"response"\s*:\s*\{\s*\}\s*\}\s*$/.test(text)
}

/** Without `include_appinfo` Steam gives numbers only. */
function toGame(entry: unknown): Game | Unusable {
  const { data } = Owned.safeParse(entry)
  if (data === undefined) return unusable('no number of the game')
  const { appid, name = `app ${appid}`, playtime_forever: minutes, playtime_2weeks: recent, rtime_last_played } = data
  return { kind: 'game', appid, name, minutes, recent, last: rtime_last_played || undefined }
}
