import { z } from 'zod'
import { anyNumber } from '../../kit/input.ts'
import type { McpServer } from '../../kit/tool.ts'
import { addQuestion, ask, type Desk, demandSome, limit, more } from './desk.ts'
import { hours, markdownTable } from './table.ts'

const orders = {
  playtime: 'minutes DESC, name',
  recent: 'last DESC NULLS LAST, minutes DESC',
  name: 'lower(name)',
} as const

const Game = z.object({
  name: z.string(),
  minutes: z.number(),
  recent: z.number(),
  last: z.number().nullable(),
  total: z.number(),
})

export function addGames(server: McpServer, desk: Desk): void {
  const question = {
    name: 'games_library',
    title: 'List games',
    description:
      'Games with the time played in all and in the last two weeks, and when last; by playtime, latest play or name.',
    input: z.strictObject({
      sort: z.enum(['playtime', 'recent', 'name']).default('playtime'),
      min_hours: anyNumber(0, 1_000_000).prefault(0),
      limit,
    }),
  }
  addQuestion(server, desk, question, ({ sort, min_hours: least, limit: most }) => {
    const rows = ask(
      desk,
      `SELECT *, count(*) OVER () AS total FROM games WHERE minutes >= $least ORDER BY ${orders[sort]} LIMIT $limit`,
      { least: least * 60, limit: most },
      Game,
    )
    const [first] = demandSome(rows, least > 0 ? `games played for ${least} hours` : 'games')
    const lines = rows.map(({ name, minutes, recent, last }) => {
      const day = last === null ? 'never' : desk.library.zone.dayOf(last)
      return [name, hours(minutes * 60), recent === 0 ? '' : hours(recent * 60), day]
    })
    return (
      markdownTable(['Game', 'Played', 'Last two weeks', 'Last played'], lines) + more(first?.total ?? 0, rows.length)
    )
  })
}
