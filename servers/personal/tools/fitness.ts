import { DateTime } from 'luxon'
import { z } from 'zod'
import { anyNumber } from '../../kit/input.ts'
import { type McpServer, ToolFailure } from '../../kit/tool.ts'
import { sportOf } from '../format/sport.ts'
import { describePeriod, groupOf, type Period, readPeriod } from '../period.ts'
import { addQuestion, ask, type Desk, demandSome, limit, more, span } from './desk.ts'
import { clock, fixed, hours, markdownTable } from './table.ts'

export function addFitness(server: McpServer, desk: Desk): void {
  addActivities(server, desk)
  addSummary(server, desk)
}

const sport = z.string().trim().max(60).describe('run, ride, swim, walk, hike …: also finds "trail run" by run')
const number = z.number().nullable()

const Activity = z.object({
  at: z.number(),
  day: z.string(),
  sport: z.string(),
  name: z.string(),
  metres: number,
  moving: number,
  elapsed: number,
  climb: number,
  heart: number,
  kcal: number,
  note: z.string(),
  source: z.string(),
})
type Activity = z.infer<typeof Activity>

interface Wanted {
  readonly type?: string | undefined
  readonly period: Period
  readonly metres?: number | undefined
}

/** @throws ToolFailure where there is none, naming the sports that there are if none is of the sport. */
function findActivities(desk: Desk, { type, period, metres = 0 }: Wanted): readonly Activity[] {
  const wanted = sportOf(type ?? '')
  const of = (name: string) => name === wanted || name.endsWith(` ${wanted}`) || name.startsWith(`${wanted} `)
  const all = ask(
    desk,
    'SELECT at, day, sport, name, metres, moving, elapsed, climb, heart, kcal, note, source FROM activities ORDER BY at DESC',
    {},
    Activity,
  )
  const found = wanted === '' ? all : all.filter((activity) => of(activity.sport))
  if (found.length === 0 && all.length > 0)
    throw new ToolFailure(`no activities of type "${type}"; there are ${sportsOf(all)}`)
  const fits = ({ day, metres: distance }: Activity) =>
    day >= period.from && day <= period.to && (distance ?? 0) >= metres
  const distance = metres > 0 ? ` of ${metres / 1000} km or more` : ''
  return demandSome(found.filter(fits), `activities${distance} (${describePeriod(period)})`)
}

function sportsOf(all: readonly Activity[]): string {
  const counts = [...Map.groupBy(all, (activity) => activity.sport)].map(([name, own]) => [name, own.length] as const)
  return counts
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} (${count})`)
    .join(', ')
}

const orders = {
  newest: (a: Activity, b: Activity) => b.at - a.at,
  longest: (a: Activity, b: Activity) => (b.metres ?? 0) - (a.metres ?? 0) || (b.moving ?? 0) - (a.moving ?? 0),
  fastest: (a: Activity, b: Activity) => speedOf(b) - speedOf(a),
} as const

function addActivities(server: McpServer, desk: Desk): void {
  const question = {
    name: 'fitness_activities',
    title: 'List activities',
    description:
      'Runs, rides, swims and so on with distance, time, pace, climb and heart rate; newest, longest or fastest first. One that several services tell of is listed once.',
    input: z.strictObject({
      type: sport.optional(),
      ...span,
      min_distance_km: anyNumber(0, 100_000).optional(),
      sort: z.enum(['newest', 'longest', 'fastest']).default('newest'),
      limit,
    }),
  }
  addQuestion(server, desk, question, ({ type, min_distance_km: km = 0, sort, limit: most, ...asked }) => {
    const period = readPeriod(asked, desk.library.zone)
    const found = findActivities(desk, { type, period, metres: km * 1000 }).toSorted(orders[sort])
    const shown = found.slice(0, most)
    const columns = ['Start', 'Type', 'Name', 'km', 'Time', 'Pace or speed', 'Climb m', 'Heart', 'kcal', 'From']
    const rows = shown.map((activity) => [...lineOf(activity, desk), ...(desk.notes ? [activity.note] : [])])
    return markdownTable([...columns, ...(desk.notes ? ['Note'] : [])], rows) + more(found.length, shown.length)
  })
}

function lineOf(activity: Activity, { library }: Desk): readonly string[] {
  const { at, sport: type, name, metres, climb, heart, kcal, source } = activity
  const km = metres === null ? '' : (metres / 1000).toFixed(2)
  return [library.zone.timeOf(at), type, name, km, clock(timeOf(activity)), pace(activity)].concat(
    [climb, heart, kcal].map((value) => fixed(value)),
    source,
  )
}

/** Seconds that it took; in motion, where that is known. */
function timeOf({ moving, elapsed }: Activity): number | null {
  return moving ?? elapsed
}

/** m/s; 0 where it is not known. */
function speedOf(activity: Activity): number {
  const seconds = timeOf(activity)
  return activity.metres === null || !seconds ? 0 : activity.metres / seconds
}

function pace(activity: Activity): string {
  const speed = speedOf(activity)
  if (speed === 0) return ''
  if (activity.sport.includes('swim')) return `${clock(100 / speed)} /100 m`
  return /run|walk|hike/.test(activity.sport) ? `${clock(1000 / speed)} /km` : `${(speed * 3.6).toFixed(1)} km/h`
}

function addSummary(server: McpServer, desk: Desk): void {
  const question = {
    name: 'fitness_summary',
    title: 'Sum up activities',
    description:
      'Totals of count, distance, time and climb by week, month, year or type, and the longest row of days with an activity. Ask twice to compare two periods.',
    input: z.strictObject({
      group_by: z.enum(['week', 'month', 'year', 'type']).default('month'),
      type: sport.optional(),
      ...span,
    }),
  }
  addQuestion(server, desk, question, ({ group_by: by, type, ...asked }) => {
    const period = readPeriod(asked, desk.library.zone)
    const found = findActivities(desk, { type, period })
    const keyOf = (activity: Activity) => (by === 'type' ? activity.sport : groupOf(activity.day, by))
    const groups = [...Map.groupBy(found, keyOf)].toSorted(([a], [b]) => (a < b ? -1 : 1))
    const rows = [...groups, ['all', found] as const].map(([name, own]) => [name, ...totals(own)])
    const table = markdownTable(
      [by === 'type' ? 'Type' : 'When', 'Activities', 'km', 'Time', 'Climb m', 'Longest km'],
      rows,
    )
    const days = [...new Set(found.map(({ day }) => day))].toSorted()
    return `${describePeriod(period)}:\n\n${table}\n\nActive on ${days.length} days; ${longestRow(days)} in a row at most.`
  })
}

function totals(own: readonly Activity[]): readonly string[] {
  const sum = (of: (activity: Activity) => number | null) => own.reduce((all, one) => all + (of(one) ?? 0), 0)
  const longest = Math.max(...own.map(({ metres }) => metres ?? 0))
  const km = (metres: number) => (metres / 1000).toFixed(1)
  return [
    String(own.length),
    km(sum(({ metres }) => metres)),
    hours(sum(timeOf)),
    fixed(sum(({ climb }) => climb)),
    km(longest),
  ]
}

/** Days that follow each other; `days` are in order. */
function longestRow(days: readonly string[]): number {
  let [longest, now, next] = [0, 0, '']
  for (const day of days) {
    now = day === next ? now + 1 : 1
    longest = Math.max(longest, now)
    next = DateTime.fromISO(day, { zone: 'utc' }).plus({ days: 1 }).toFormat('yyyy-MM-dd')
  }
  return longest
}
