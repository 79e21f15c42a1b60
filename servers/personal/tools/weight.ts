import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { type McpServer, ToolFailure } from '../../kit/tool.ts'
import { describePeriod, groupOf, readPeriod } from '../period.ts'
import { dayNumber, dayOfNumber, trendOf } from '../trend.ts'
import { addQuestion, ask, type Desk, demandSome, more, span } from './desk.ts'
import { fixed, markdownTable } from './table.ts'

export function addWeight(server: McpServer, desk: Desk): void {
  addSeries(server, desk)
  addTrend(server, desk)
}

const Day = z.object({
  day: z.string(),
  kg: z.number(),
  lowest: z.number(),
  highest: z.number(),
  fat: z.number().nullable(),
  notes: z.string(),
})
type Day = z.infer<typeof Day>

/** A mean for each day, however often somebody stood on the scale, and whichever app tells of it. */
const byDay = `SELECT day, avg(kg) AS kg, min(kg) AS lowest, max(kg) AS highest, avg(fat) AS fat,
  coalesce(group_concat(DISTINCT nullif(note, '')), '') AS notes
  FROM weight WHERE day BETWEEN $from AND $to GROUP BY day ORDER BY day`

const mostLines = 400

function addSeries(server: McpServer, desk: Desk): void {
  const question = {
    name: 'weight_series',
    title: 'Weight over time',
    description: 'Mean weight in kg for each day, week or month, with lowest, highest and body fat.',
    input: z.strictObject({ ...span, group_by: z.enum(['day', 'week', 'month']).default('day') }),
  }
  addQuestion(server, desk, question, ({ group_by: by, ...asked }) => {
    const period = readPeriod(asked, desk.library.zone)
    const days = demandSome(ask(desk, byDay, { ...period }, Day), `weights (${describePeriod(period)})`)
    const groups = [...Map.groupBy(days, ({ day }) => groupOf(day, by))]
    const rows = groups
      .slice(-mostLines)
      .map(([name, own]) => [name, ...lineOf(own), ...(desk.notes ? [notesOf(own)] : [])])
    const columns = ['When', 'Mean kg', 'Lowest', 'Highest', 'Fat %', ...(desk.notes ? ['Notes'] : [])]
    return markdownTable(columns, rows) + more(groups.length, rows.length)
  })
}

function lineOf(days: readonly Day[]): readonly string[] {
  const fats = days.flatMap(({ fat }) => (fat === null ? [] : [fat]))
  return [
    fixed(mean(days.map(({ kg }) => kg)), 1),
    fixed(Math.min(...days.map(({ lowest }) => lowest)), 1),
    fixed(Math.max(...days.map(({ highest }) => highest)), 1),
    fats.length === 0 ? '' : fixed(mean(fats), 1),
  ]
}

function notesOf(days: readonly Day[]): string {
  return days
    .map(({ notes }) => notes)
    .filter(Boolean)
    .join('; ')
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function addTrend(server: McpServer, desk: Desk): void {
  const question = {
    name: 'weight_trend',
    title: 'Trend of the weight',
    description:
      'How the weight went over so many days up to the latest measurement: kg a week, smoothed weight, lowest and highest.',
    input: z.strictObject({ days: wholeNumber(2, 36_500).prefault(30) }),
  }
  addQuestion(server, desk, question, ({ days }) => {
    const all = ask(desk, byDay, { from: '0000', to: '9999' }, Day).map(({ day, kg }) => ({ day, value: kg }))
    const latest = all.at(-1)
    if (latest === undefined) throw new ToolFailure('no weights; data_sources lists what there is')
    const from = dayOfNumber(dayNumber(latest.day) - days + 1)
    const points = all.filter(({ day }) => day >= from)
    const { perWeek, smoothed, lowest, highest } = trendOf(points[0] ?? latest, points)
    const sign = perWeek > 0 ? '+' : ''
    return [
      `${days} days up to ${latest.day}, the latest measurement; ${points.length} days with one.`,
      `Latest: ${latest.value.toFixed(1)} kg`,
      `Trend: ${sign}${perWeek.toFixed(2)} kg a week`,
      `Smoothed: ${smoothed.toFixed(1)} kg`,
      `Lowest: ${lowest.value.toFixed(1)} kg on ${lowest.day}`,
      `Highest: ${highest.value.toFixed(1)} kg on ${highest.day}`,
    ].join('\n')
  })
}
