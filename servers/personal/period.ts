import { DateTime } from 'luxon'
import { ToolFailure } from '../kit/tool.ts'
import { isLikely, type Zone } from './zone.ts'

/** Days, both included; as `YYYY-MM-DD`, which sorts as time does. */
export interface Period {
  readonly from: string
  readonly to: string
}

export interface Asked {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

const earliest = '0000-01-01'
const latest = '9999-12-31'

/**
 * The days that are meant by `2024`, `2024-02`, `2024-02-29`, `today`, and by `30d`, `8w`, `6m` or `1y` before today.
 * @throws ToolFailure for what is no date, and for an end before its beginning.
 */
export function readPeriod({ from, to }: Asked, zone: Zone): Period {
  const today = zone.dayOf(Date.now() / 1000)
  const first = from === undefined ? earliest : spanOf('from', from, today).from
  const last = to === undefined ? latest : spanOf('to', to, today).to
  if (first > last) throw new ToolFailure(`from ${first} is after to ${last}: give the earlier day as from`)
  return { from: first, to: last }
}

function spanOf(name: string, text: string, today: string): Period {
  const back = /^(\d{1,4})\s*(d|w|m|y)$/i.exec(text)
  if (text === 'today') return { from: today, to: today }
  if (back !== null) return goneBy(Number(back[1]), (back[2] ?? '').toLowerCase(), today)
  const [, year = '0', month, day] = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$/.exec(text) ?? []
  const start = DateTime.fromObject(
    { year: Number(year), month: Number(month ?? 1), day: Number(day ?? 1) },
    { zone: 'utc' },
  )
  if (!start.isValid || !isLikely(start.year))
    throw new ToolFailure(
      `${name} "${text.slice(0, 40)}" is no date: give YYYY-MM-DD, YYYY-MM or YYYY, or 30d, 8w, 6m, 1y for that long ago`,
    )
  const end = start.endOf(day === undefined ? (month === undefined ? 'year' : 'month') : 'day')
  return { from: start.toFormat('yyyy-MM-dd'), to: end.toFormat('yyyy-MM-dd') }
}

const units = { d: 'days', w: 'weeks', m: 'months', y: 'years' } as const

function goneBy(count: number, letter: string, today: string): Period {
  const unit = letter === 'd' || letter === 'w' || letter === 'm' ? units[letter] : units.y
  const day = DateTime.fromISO(today, { zone: 'utc' }).minus({ [unit]: count })
  const text = day.isValid && day.year > 0 ? day.toFormat('yyyy-MM-dd') : earliest
  return { from: text, to: text }
}

/** In words, for answers. */
export function describePeriod({ from, to }: Period): string {
  if (from === earliest && to === latest) return 'all time'
  if (from === earliest) return `until ${to}`
  return to === latest ? `since ${from}` : from === to ? from : `${from} to ${to}`
}

/** The week of a day as ISO 8601 counts it, `2024-W03`; its month; its year. */
export function groupOf(day: string, by: 'day' | 'week' | 'month' | 'year'): string {
  switch (by) {
    case 'day':
      return day
    case 'week':
      return DateTime.fromISO(day, { zone: 'utc' }).toFormat("kkkk-'W'WW")
    case 'month':
      return day.slice(0, 7)
    case 'year':
      return day.slice(0, 4)
    default:
      return by satisfies never
  }
}
