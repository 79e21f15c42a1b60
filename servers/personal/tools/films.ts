import { z } from 'zod'
import { anyNumber, yesNo } from '../../kit/input.ts'
import { type McpServer, ToolFailure } from '../../kit/tool.ts'
import { describePeriod, readPeriod } from '../period.ts'
import { fold } from '../text/fold.ts'
import { addQuestion, ask, type Desk, demandSome, limit, more, span, words } from './desk.ts'
import { fixed, markdownTable } from './table.ts'

export function addFilms(server: McpServer, desk: Desk): void {
  addDiary(server, desk)
  addSearch(server, desk)
  addStats(server, desk)
}

const number = z.number().nullable()

const Entry = z.object({
  day: z.string(),
  name: z.string(),
  year: number,
  rating: number,
  rewatch: z.number(),
  tags: z.string(),
  total: z.number(),
})

function addDiary(server: McpServer, desk: Desk): void {
  const question = {
    name: 'films_diary',
    title: 'Films by the day they were watched',
    description: 'What was watched when, newest first, with rating and tags.',
    input: z.strictObject({
      ...span,
      min_rating: anyNumber(0.5, 5).optional().describe('Stars'),
      rewatch: yesNo.optional().describe('true: only films seen before; false: only those seen first'),
      limit,
    }),
  }
  addQuestion(server, desk, question, ({ min_rating: least, rewatch, limit: most, ...asked }) => {
    const period = readPeriod(asked, desk.library.zone)
    const rows = ask(
      desk,
      `SELECT *, count(*) OVER () AS total FROM diary WHERE day BETWEEN $from AND $to
         AND coalesce(rating, 0) >= $least AND ($rewatch IS NULL OR rewatch = $rewatch) ORDER BY day DESC, name LIMIT $limit`,
      { ...period, least: least ?? 0, rewatch: rewatch === undefined ? null : Number(rewatch), limit: most },
      Entry,
    )
    const [newest] = demandSome(rows, `films like that in the diary (${describePeriod(period)})`)
    const lines = rows.map(({ day, name, year, rating, rewatch: again, tags }) => {
      return [day, name, fixed(year), stars(rating), again ? 'yes' : '', tags]
    })
    return (
      markdownTable(['Watched', 'Film', 'Year', 'Rating', 'Again', 'Tags'], lines) +
      more(newest?.total ?? 0, rows.length)
    )
  })
}

function stars(rating: number | null): string {
  return rating === null ? '' : String(rating)
}

const Film = z.object({
  name: z.string(),
  year: number,
  rating: number,
  times: z.number(),
  last: z.string().nullable(),
  wanted: z.number(),
  seen: z.number(),
  review: z.string(),
  total: z.number(),
})

function addSearch(server: McpServer, desk: Desk): void {
  const question = {
    name: 'films_search',
    title: 'Search films',
    description:
      'Films by a part of their name: rating, how often and when watched, whether on the watchlist, and the review.',
    input: z.strictObject({ query: words, limit }),
  }
  addQuestion(server, desk, question, ({ query, limit: most }) => {
    const rows = ask(
      desk,
      'SELECT *, count(*) OVER () AS total FROM films WHERE instr(key, $key) > 0 ORDER BY key <> $key, last DESC, name LIMIT $limit',
      { key: fold(query), limit: most },
      Film,
    )
    const [best] = rows
    if (best === undefined) throw new ToolFailure(`no film has "${query}" in its name`)
    const lines = rows.map(({ name, year, rating, times, last, wanted, seen, review }) => {
      const standing = seen ? 'seen' : wanted ? 'on the watchlist' : ''
      return [name, fixed(year), stars(rating), standing, String(times), last ?? '', review]
    })
    const columns = ['Film', 'Year', 'Rating', 'Seen', 'In the diary', 'Last', 'Review']
    return markdownTable(columns, lines) + more(best.total, rows.length)
  })
}

const groups = {
  year: { name: 'Watched in', group: 'substr(day, 1, 4)', of: 'diary' },
  decade: { name: 'Made in', group: "(year / 10 * 10) || 's'", of: 'films WHERE seen AND year IS NOT NULL' },
  rating: { name: 'Rating', group: 'rating', of: 'films WHERE seen AND rating IS NOT NULL' },
} as const

const Stat = z.object({ name: z.coerce.string(), films: z.number(), average: number })

function addStats(server: McpServer, desk: Desk): void {
  const question = {
    name: 'films_stats',
    title: 'Count films',
    description:
      'How many films by the year they were watched in, the decade they were made in, or rating; with the mean rating.',
    input: z.strictObject({ group_by: z.enum(['year', 'decade', 'rating']).default('year') }),
  }
  addQuestion(server, desk, question, ({ group_by: by }) => {
    const { name, group, of } = groups[by]
    const sql = `SELECT ${group} AS name, count(*) AS films, avg(rating) AS average FROM ${of} GROUP BY 1 ORDER BY 1`
    const rows = demandSome(ask(desk, sql, {}, Stat), 'films')
    const lines = rows.map((row) => [row.name, String(row.films), fixed(row.average, 2)])
    return markdownTable([name, 'Films', 'Mean rating'], lines)
  })
}
