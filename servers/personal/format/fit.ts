import FitParser from 'fit-file-parser'
import { z } from 'zod'
import { type Activity, Unreadable, type Unusable, unusable } from '../record.ts'
import { isInstant } from '../zone.ts'
import type { Format } from './format.ts'
import { sportOf } from './sport.ts'

/** A day's ride with all sensors has a few MB. */
const mostBytes = 16 * 1024 * 1024

const number = z.number().optional().catch(undefined)
const Session = z.object({
  start_time: z.date(),
  sport: z.string().default('other'),
  total_distance: number,
  total_timer_time: number,
  total_elapsed_time: number,
  total_ascent: number,
  total_calories: number,
  avg_heart_rate: number,
  max_heart_rate: number,
})

/** What a watch or bike computer records; of each session only its sums, never where it was. */
export const fit: Format = {
  name: 'FIT',
  holds: ({ bytes }) => bytes.length > 12 && bytes.toString('latin1', 8, 12) === '.FIT',
  read: async function* ({ content }) {
    const { sessions = [] } = await parse(await content.bytes(mostBytes))
    if (sessions.length === 0) throw new Unreadable('no session in it: not a recorded activity')
    for (const session of sessions) yield toActivity(session)
  },
}

async function parse(bytes: Buffer<ArrayBuffer>): Promise<{ readonly sessions?: readonly unknown[] }> {
  const parser = new FitParser({ force: false, mode: 'list', lengthUnit: 'm', speedUnit: 'm/s' })
  try {
    return await parser.parseAsync(bytes)
  } catch (error) {
    throw new Unreadable(`not a whole FIT file: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

function toActivity(session: unknown): Activity | Unusable {
  const { data } = Session.safeParse(session)
  const at = (data?.start_time.getTime() ?? Number.NaN) / 1000
  if (data === undefined || !isInstant(at)) return unusable('a session without time')
  return {
    kind: 'activity',
    ...{ at, sport: sportOf(data.sport), name: '' },
    metres: data.total_distance,
    moving: data.total_timer_time,
    elapsed: data.total_elapsed_time,
    climb: data.total_ascent,
    heart: data.avg_heart_rate,
    maxHeart: data.max_heart_rate,
    kcal: data.total_calories,
  }
}
