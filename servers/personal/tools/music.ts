import { z } from 'zod'
import { type McpServer, ToolFailure } from '../../kit/tool.ts'
import { describePeriod, readPeriod } from '../period.ts'
import { fold } from '../text/fold.ts'
import { addQuestion, ask, type Desk, demandSome, limit, more, span, words } from './desk.ts'
import { hours, markdownTable } from './table.ts'

export function addMusic(server: McpServer, desk: Desk): void {
  addTop(server, desk)
  addRecent(server, desk)
  addSearch(server, desk)
}

const what = {
  artist: { group: 'artist_key', columns: ['Artist'], show: 'max(artist) AS artist, NULL AS title' },
  track: {
    group: 'artist_key, track_key',
    columns: ['Artist', 'Track'],
    show: 'max(artist) AS artist, max(title) AS title',
  },
  album: {
    group: 'artist_key, album_key',
    columns: ['Artist', 'Album'],
    show: 'max(artist) AS artist, max(album) AS title',
  },
} as const

const Top = z.object({
  artist: z.string(),
  title: z.string().nullable(),
  plays: z.number(),
  seconds: z.number().nullable(),
  first: z.string(),
  last: z.string(),
  total: z.number(),
})

function addTop(server: McpServer, desk: Desk): void {
  const question = {
    name: 'music_top',
    title: 'Most played music',
    description:
      'The artists, tracks or albums that were played most. A play counts from half a minute on; the same one told by two services counts once.',
    input: z.strictObject({ kind: z.enum(['artist', 'track', 'album']), ...span, limit }),
  }
  addQuestion(server, desk, question, ({ kind, limit: most, ...asked }) => {
    const period = readPeriod(asked, desk.library.zone)
    const { group, columns, show } = what[kind]
    const rows = ask(
      desk,
      `SELECT ${show}, count(*) AS plays, sum(seconds) AS seconds, min(day) AS first, max(day) AS last, count(*) OVER () AS total
       FROM listen JOIN song ON song.id = song WHERE counted AND day BETWEEN $from AND $to ${kind === 'album' ? "AND album <> ''" : ''}
       GROUP BY ${group} ORDER BY plays DESC, last DESC, artist LIMIT $limit`,
      { ...period, limit: most },
      Top,
    )
    const [best] = demandSome(rows, `plays (${describePeriod(period)})`)
    const lines = rows.map(({ artist, title, plays, seconds, first, last }, index) => {
      const names = title === null ? [artist] : [artist, title]
      return [String(index + 1), ...names, String(plays), hours(seconds), first, last]
    })
    const table = markdownTable(['', ...columns, 'Plays', 'Time', 'First', 'Last'], lines)
    return `Top ${kind}s, ${describePeriod(period)}:\n\n${table}${more(best?.total ?? 0, rows.length)}`
  })
}

const Play = z.object({
  at: z.number(),
  artist: z.string(),
  title: z.string(),
  album: z.string(),
  source: z.string(),
  total: z.number(),
})

function addRecent(server: McpServer, desk: Desk): void {
  const question = {
    name: 'music_recent',
    title: 'Music played last',
    description: 'The latest plays, newest first.',
    input: z.strictObject({ ...span, limit }),
  }
  addQuestion(server, desk, question, ({ limit: most, ...asked }) => {
    const { zone } = desk.library
    const period = readPeriod(asked, zone)
    const rows = ask(
      desk,
      `SELECT at, artist, title, album, source, count(*) OVER () AS total FROM listen JOIN song ON song.id = song
       WHERE counted AND day BETWEEN $from AND $to ORDER BY at DESC LIMIT $limit`,
      { ...period, limit: most },
      Play,
    )
    const [newest] = demandSome(rows, `plays (${describePeriod(period)})`)
    const lines = rows.map(({ at, artist, title, album, source }) => [zone.timeOf(at), artist, title, album, source])
    return markdownTable(['Time', 'Artist', 'Track', 'Album', 'From'], lines) + more(newest?.total ?? 0, rows.length)
  })
}

const Known = z.object({
  artist: z.string(),
  title: z.string(),
  albums: z.string(),
  plays: z.number(),
  first: z.string(),
  last: z.string(),
  total: z.number(),
})

function addSearch(server: McpServer, desk: Desk): void {
  const question = {
    name: 'music_search',
    title: 'Search played music',
    description:
      'Tracks whose name, artist or album has all the words, most played first. Case and accents do not matter.',
    input: z.strictObject({ query: words, limit }),
  }
  addQuestion(server, desk, question, ({ query, limit: most }) => {
    const terms = fold(query).split(' ').slice(0, 10)
    const fits = terms.map((_, index) => `instr(artist_key || ' ' || track_key || ' ' || album_key, $t${index}) > 0`)
    const rows = ask(
      desk,
      `SELECT max(artist) AS artist, max(title) AS title, group_concat(DISTINCT album) AS albums, count(*) AS plays,
         min(day) AS first, max(day) AS last, count(*) OVER () AS total
       FROM listen JOIN song ON song.id = song WHERE counted AND ${fits.join(' AND ')}
       GROUP BY artist_key, track_key ORDER BY plays DESC, last DESC LIMIT $limit`,
      { ...Object.fromEntries(terms.map((term, index) => [`t${index}`, term])), limit: most },
      Known,
    )
    const [best] = rows
    if (best === undefined) throw new ToolFailure(`nothing that was played has "${query}" in its name, artist or album`)
    const lines = rows.map(({ artist, title, albums, plays, first, last }) => [
      artist,
      title,
      albums,
      String(plays),
      first,
      last,
    ])
    return markdownTable(['Artist', 'Track', 'Album', 'Plays', 'First', 'Last'], lines) + more(best.total, rows.length)
  })
}
