import { execFileSync } from 'node:child_process'
import { readFileSync, truncateSync } from 'node:fs'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { suite } from '../support/machine.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { failProgram, launchProgram, type Program, startProgram } from '../support/program.ts'
import {
  createFolder,
  everyExport,
  type Folder,
  fitFile,
  lastfmPage,
  lastfmTrack,
  letterboxd,
  listenbrainzLine,
  openscale,
  spotifyPlay,
  steam,
  strava,
  withings,
} from './personal-exports.ts'

const main = fileURLToPath(new URL('../../servers/personal/main.ts', import.meta.url))

const tools = [
  'data_sources',
  'music_top',
  'music_recent',
  'music_search',
  'fitness_activities',
  'fitness_summary',
].concat(['films_diary', 'films_search', 'films_stats', 'games_library', 'weight_series', 'weight_trend'])

type Args = Readonly<Record<string, unknown>>

/** The cells of a table in an answer, without its head. */
function rowsIn(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => line.slice(2, -2).split(' | '))
}

function beginnings(rows: readonly (readonly string[])[], cells = 3) {
  return rows.map((row) => row.slice(0, cells))
}

function asking(client: () => McpClient) {
  const text = async (name: string, args: Args = {}) => {
    const answer = await client().callTool(name, args)
    expect(answer).toMatchObject({ isError: false })
    return answer.text
  }
  const rows = async (name: string, args: Args = {}) => rowsIn(await text(name, args))
  const fault = async (name: string, args: Args = {}) => {
    const answer = await client().callTool(name, args)
    expect(answer).toMatchObject({ isError: true })
    return answer.text
  }
  return { text, rows, fault }
}

/** A program over a folder, and its client; both end with the test. */
async function serveFolder(
  files: Readonly<Record<string, string | Buffer>>,
  env: Readonly<Record<string, string>> = {},
) {
  const folder = await createFolder(files)
  onTestFinished(() => folder[Symbol.asyncDispose]())
  const program = await startProgram(main, { PERSONAL_DATA_DIR: folder.path, ...env })
  const client = await connectCurl(`${program.url}/mcp`)
  return { folder, program, ...asking(() => client) }
}

describe('personal over one of each export', () => {
  let folder: Folder
  let program: Program
  let client: McpClient
  beforeAll(async () => {
    folder = await createFolder(everyExport)
    program = await launchProgram(main, { PERSONAL_DATA_DIR: folder.path, PERSONAL_TZ: 'Europe/Berlin' })
    client = await connectCurl(`${program.url}/mcp`)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    await folder?.[Symbol.asyncDispose]()
  })
  const { text, rows, fault } = asking(() => client)
  const column = async (index: number, name: string, args: Args = {}) =>
    (await rows(name, args)).map((row) => row[index])

  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${program.url}/mcp`)
    onTestFinished(agent.close)
    expect((await agent.listTools()).toSorted()).toEqual(tools.toSorted())
    expect(await agent.callTool('games_library', { sort: 'name' })).toMatchObject({
      isError: false,
      text: expect.stringContaining('| Long Game | 100.0 h | 1.5 h | 2025-03-01 |'),
    })
  })

  test('is ready, and says what it has of which export', async () => {
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    const sources = await rows('data_sources')
    expect(sources.map(([path]) => path)).toEqual(Object.keys(everyExport).toSorted())
    const kinds = ['Apple Health', 'FIT', 'Garmin Connect', 'Last.fm', 'Letterboxd', 'ListenBrainz', 'Spotify']
    expect([...new Set(sources.map(([, kind]) => kind))].toSorted()).toEqual(
      [...kinds, 'Spotify (extended)', 'Steam', 'Strava', 'Withings', 'openScale', 'weights'].toSorted(),
    )
    expect(sources.find(([path]) => path === 'sports/strava.csv')?.slice(1, 5)).toEqual([
      ...['Strava', '2', '2025-03-02', '2025-03-02'],
    ])
    expect(sources.find(([path]) => path === 'weight/openscale.csv')?.at(-1)).toMatch(/^ok but for 1 lines/)
    expect(await text('data_sources')).toContain('days and times in Europe/Berlin')
  })

  test('counts music by artist, track and album, in days of its owner', async () => {
    expect(beginnings(await rows('music_top', { kind: 'artist' }))).toEqual([
      ['1', 'The Testers', '5'],
      ['2', 'Les Accents', '1'],
    ])
    expect((await rows('music_top', { kind: 'track', limit: '1' }))[0]?.slice(1, 4)).toEqual([
      'The Testers',
      'First Light',
      '3',
    ])
    expect(await column(2, 'music_top', { kind: 'album' })).toEqual(['Songs', 'Été', 'The Testers'])
    expect(await column(2, 'music_top', { kind: 'track', from: '2025-03-02' })).toEqual(['Third Time'])
    expect((await rows('music_recent', { limit: 1 }))[0]).toEqual([
      ...['2025-03-02 01:27', 'The Testers', 'Third Time', '', 'Spotify'],
    ])
    expect(await column(1, 'music_search', { query: 'DEJA ete' })).toEqual(['Déjà vu'])
    expect(await fault('music_search', { query: 'polka' })).toContain('"polka"')
  })

  test('lists activities of all services with pace, each once', async () => {
    expect(await column(0, 'fitness_activities')).toEqual([
      ...['2025-03-09 09:00', '2025-03-08 06:30', '2025-03-07 06:30', '2025-03-06 06:30', '2025-03-04 06:30'],
      ...['2025-03-03 18:00', '2025-03-02 08:00', '2025-03-02 00:30'],
    ])
    const [longest] = await rows('fitness_activities', { type: 'Running', from: '2025', sort: 'longest', limit: 1 })
    expect(longest).toEqual([
      ...[
        '2025-03-03 18:00',
        'trail run',
        'Hills',
        '12.50',
        '1:15:30',
        '6:02 /km',
        '1200',
        '151',
        '1050',
        'Garmin Connect',
      ],
    ])
    expect(await column(1, 'fitness_activities', { type: 'swim', sort: 'fastest' })).toEqual(['pool swim', 'swim'])
    expect(await column(3, 'fitness_activities', { min_distance_km: '10' })).toEqual(['12.50', '10.02'])
    expect(await text('fitness_activities')).not.toMatch(/steady|my own business/)
    expect(await fault('fitness_activities', { type: 'quidditch' })).toContain('there are run (3), ')
  })

  test('sums activities up by week, month, year and type', async () => {
    expect(await column(0, 'fitness_summary', { group_by: 'week' })).toEqual(['2025-W09', '2025-W10', 'all'])
    expect(await rows('fitness_summary', { type: 'swim' })).toEqual([
      ['2025-03', '2', '2.5', '0.9 h', '0', '1.5'],
      ['all', '2', '2.5', '0.9 h', '0', '1.5'],
    ])
    expect(await column(0, 'fitness_summary', { group_by: 'type' })).toEqual([
      ...['hike', 'pool swim', 'run', 'strength', 'swim', 'trail run', 'all'],
    ])
    expect(await text('fitness_summary')).toContain('Active on 7 days; 4 in a row at most.')
  })

  test('knows films from the diary, ratings and the watchlist', async () => {
    expect(await rows('films_diary')).toEqual([
      ['2025-03-04', 'Somewhere', '1999', '', 'yes', ''],
      ['2025-03-01', 'Here, There', '1962', '4.5', '', 'cinema, with friends'],
    ])
    expect(await column(1, 'films_diary', { min_rating: '4' })).toEqual(['Here, There'])
    expect(await column(1, 'films_diary', { rewatch: 'false' })).toEqual(['Here, There'])
    expect(await column(1, 'films_diary', { rewatch: true, to: '2025-03' })).toEqual(['Somewhere'])
    expect(await rows('films_search', { query: 'HERE,' })).toEqual([
      ['Here, There', '1962', '5', 'seen', '1', '2025-03-01', 'Slow at first, then not.'],
    ])
    expect((await rows('films_search', { query: 'nowhere' }))[0]?.slice(0, 4)).toEqual([
      ...['Nowhere Yet', '2024', '', 'on the watchlist'],
    ])
    expect(await rows('films_stats')).toEqual([['2025', '2', '4.50']])
    expect(await rows('films_stats', { group_by: 'decade' })).toEqual([
      ['1960s', '1', '5.00'],
      ['1990s', '1', ''],
      ['2000s', '1', '2.00'],
    ])
    expect(await column(0, 'films_stats', { group_by: 'rating' })).toEqual(['2', '5'])
  })

  test('lists games', async () => {
    expect(await column(0, 'games_library')).toEqual(['Long Game', 'app 20', 'Shelf Warmer'])
    expect(await column(0, 'games_library', { min_hours: 0.5, sort: 'recent' })).toEqual(['Long Game', 'app 20'])
    expect(await column(3, 'games_library', { sort: 'name' })).toEqual(['2025-02-28', '2025-03-01', 'never'])
    expect(await fault('games_library', { min_hours: 5000 })).toContain('no games played for 5000 hours')
  })

  test('follows the weight of all apps by day, week and month', async () => {
    expect(await rows('weight_series', { to: '2025-03-02' })).toEqual([
      ['2025-03-01', '82.0', '81.5', '82.5', '20.5'],
      ['2025-03-02', '80.0', '80.0', '80.0', ''],
    ])
    expect(await column(0, 'weight_series', { group_by: 'week' })).toEqual(['2025-W09', '2025-W10', '2025-W11'])
    expect(await column(0, 'weight_series', { group_by: 'month' })).toEqual(['2025-03'])
    const trend = await text('weight_trend', { days: '4' })
    expect(trend).toContain('4 days up to 2025-03-10, the latest measurement; 4 days with one.')
    expect(trend).toContain('Trend: -1.98 kg a week')
    expect(trend).toContain('Lowest: 79.6 kg on 2025-03-10')
    expect(trend).toContain('Highest: 80.5 kg on 2025-03-07')
    expect(await text('weight_series')).not.toContain('feast')
  })

  test.each<readonly [Args, string]>([
    [{ from: '2025-03-02', to: '2025-03-01' }, 'from 2025-03-02 is after to 2025-03-01'],
    [{ from: '2024-02-30' }, 'from "2024-02-30" is no date: give YYYY-MM-DD'],
    [{ to: '99999' }, 'to "99999" is no date'],
    [{ from: '0000' }, 'is no date'],
    [{ from: 'yesterday-ish' }, 'is no date'],
    [{ from: "'; DROP TABLE listen" }, 'is no date'],
    [{ from: '9999y', to: '9999y', limit: 5 }, 'no plays'],
    [{ from: 'x'.repeat(4096) }, 'from'],
    [{ limit: -1 }, 'limit'],
    [{ limit: 1e9 }, 'limit'],
    [{ limit: 'many' }, 'limit'],
    [{ limit: true, when: 'now' }, 'when'],
    [{ from: '1999', to: '1999' }, 'no plays (1999-01-01 to 1999-12-31)'],
  ])('answers %j with what is wrong', async (args, words) => {
    expect(await fault('music_recent', args)).toContain(words)
  })

  test('takes numbers and periods as they come', async () => {
    expect(await column(0, 'music_recent', { from: 2025, to: '2025-03', limit: '2' })).toHaveLength(2)
    expect(await column(0, 'music_recent', { from: '40y', to: 'today', limit: '' })).toHaveLength(6)
    expect(await fault('fitness_activities', { sort: 'prettiest' })).toContain('sort')
    expect(await fault('weight_trend', { days: 1 })).toContain('days')
    expect(await fault('films_diary', { min_rating: 6 })).toContain('min_rating')
    expect(await fault('films_diary', { rewatch: 'maybe' })).toContain('rewatch')
    expect(await fault('music_top', { kind: 'genre' })).toContain('kind')
    expect(await fault('music_search', { query: ' ' })).toContain('query')
  })
})

describe('what two services tell of', () => {
  test('counts once, and what is repeated as often as it was', async () => {
    const at = Date.UTC(2025, 4, 1, 12) / 1000
    const track = (start: number) => listenbrainzLine(start, 'The Testers', 'Second Wind')
    const { rows } = await serveFolder({
      'a.jsonl': [at, at + 240, at + 480].map(track).join('\n'),
      'copy of a.jsonl': track(at),
      'b.json': JSON.stringify(
        [245, 485, 725].map((end) => spotifyPlay(new Date((at + end) * 1000).toISOString(), 240_000)),
      ),
      'c.json': lastfmPage([lastfmTrack('Bientôt', at + 900)]),
      'd.jsonl': listenbrainzLine(at + 890, 'LES ACCENTS', 'Bientot'),
      's.csv': strava,
      'run.fit': fitFile(new Date('2025-03-01T23:31:00Z')),
      'old/s.csv': strava,
    })
    expect(beginnings(await rows('music_top', { kind: 'track' }), 4)).toEqual([
      ['1', 'The Testers', 'Second Wind', '3'],
      ['2', 'LES ACCENTS', 'Bientot', '1'],
    ])
    expect((await rows('fitness_activities', { type: 'run' })).map((row) => row.at(-1))).toEqual(['Strava'])
    expect((await rows('fitness_summary', { group_by: 'year' })).at(-1)?.[1]).toBe('2')
  })
})

describe('a folder that changes', () => {
  const stateOf = async (rows: (name: string) => Promise<readonly (readonly string[])[]>, path: string) =>
    (await rows('data_sources')).find(([name]) => name === path)
  const soon = { timeout: 20_000, interval: 50 }

  test('is read anew while calls are answered', async () => {
    const { folder, rows, text } = await serveFolder({ 'w.csv': withings }, { PERSONAL_RELOAD_SECONDS: '86400' })
    const last = async () => (await rows('weight_series')).at(-1)?.[1]
    expect(await last()).toBe('80.0')
    await folder.write({ 'w.csv': `${withings}"2025-03-09 07:00:00",79.00,,,,,\n`, 'new/deep/steam.json': steam })
    await expect.poll(last, soon).toBe('79.0')
    await expect.poll(async () => (await text('data_sources')).includes('new/deep/steam.json'), soon).toBe(true)
    await writeFile(join(folder.path, 'next'), `${withings}"2025-03-10 07:00:00",78.00,,,,,\n`)
    await rename(join(folder.path, 'next'), join(folder.path, 'w.csv'))
    await expect.poll(last, soon).toBe('78.0')
    await rm(join(folder.path, 'w.csv'))
    await expect.poll(() => stateOf(rows, 'w.csv'), soon).toBeUndefined()
    expect(await text('games_library')).toContain('Long Game')
  })

  test.each<readonly [string, string, string | Buffer, RegExp]>([
    ['is half written', steam, steam.slice(0, -40), /not whole JSON/],
    ['is empty', steam, '', /empty/],
    [
      'is in another encoding',
      strava,
      Buffer.from(strava.replace('Late', 'Spät'), 'latin1'),
      /not UTF-8 text: save it as UTF-8/,
    ],
    ['ends within quotes', strava, strava.slice(0, strava.indexOf(' steady')), /not a whole table/],
    ['became another thing', strava, '<html>', /not one of the exports/],
  ])('keeps what it had of a file that %s, says so, and takes it up when it is whole', async (_, good, bad, words) => {
    const { folder, rows } = await serveFolder({ 'it.csv': good }, { PERSONAL_RELOAD_SECONDS: '86400' })
    const tool = good === steam ? 'games_library' : 'fitness_activities'
    const before = await rows(tool)
    await folder.write({ 'it.csv': bad })
    await expect.poll(async () => (await stateOf(rows, 'it.csv'))?.at(-1), soon).toMatch(words)
    expect((await stateOf(rows, 'it.csv'))?.at(-1)).toMatch(
      /^the last change could not be read, what was read before is served/,
    )
    expect(await rows(tool)).toEqual(before)
    await folder.write({ 'it.csv': good.replace('Long Game', 'Longer Game').replace(',Run,', ',Ride,') })
    await expect.poll(async () => (await stateOf(rows, 'it.csv'))?.at(-1), soon).toBe('ok')
    expect(await rows(tool)).not.toEqual(before)
  })

  test('is watched on when it is another one of the same name', async () => {
    const { folder, rows } = await serveFolder({ 'repo/w.csv': withings }, { PERSONAL_RELOAD_SECONDS: '86400' })
    const count = async () => (await stateOf(rows, 'repo/w.csv'))?.[2]
    await expect.poll(count, soon).toBe('2')
    await folder.write({ 'next/w.csv': `${withings}"2025-03-09 07:00:00",79.00,,,,,\n` })
    await rename(join(folder.path, 'repo'), join(folder.path, 'old'))
    await rename(join(folder.path, 'next'), join(folder.path, 'repo'))
    await expect.poll(count, soon).toBe('3')
    await folder.write({ 'repo/w.csv': withings })
    await expect.poll(count, soon).toBe('2')
  })

  test('is looked at now and then where it is not watched', async () => {
    const folder = await createFolder()
    onTestFinished(() => folder[Symbol.asyncDispose]())
    const later = join(folder.path, 'later')
    const program = await startProgram(main, { PERSONAL_DATA_DIR: later, PERSONAL_RELOAD_SECONDS: '1' })
    const client = await connectCurl(`${program.url}/mcp`)
    const { fault, text } = asking(() => client)
    const ready = await fetch(`${program.url}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringContaining('the folder of exports is not there'),
    ])
    expect(await text('data_sources')).toContain('the folder of exports is not there')
    expect(await fault('games_library')).toContain('no games')
    await folder.write({ 'later/steam.json': steam })
    await expect.poll(async () => (await client.callTool('games_library')).isError, soon).toBe(false)
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    await rename(later, `${later} away`)
    await expect.poll(async () => (await text('data_sources')).includes('is not there'), soon).toBe(true)
    expect(await text('games_library')).toContain('Long Game')
  })

  test('is left alone while git is at work in it', async () => {
    const { folder, rows, text } = await serveFolder({
      'repo/steam.json': steam,
      'repo/.git/HEAD': 'x',
      'w.csv': withings,
    })
    expect(await rows('data_sources')).toHaveLength(2)
    await folder.write({ 'repo/.git/index.lock': '' })
    await folder.write({ 'repo/steam.json': '{"response":' })
    await rm(join(folder.path, 'w.csv'))
    await expect.poll(() => stateOf(rows, 'w.csv'), soon).toBeUndefined()
    expect(await text('data_sources')).toContain('- repo: git is at work in it')
    expect((await stateOf(rows, 'repo/steam.json'))?.at(-1)).toBe('ok')
    await folder.write({ 'repo/steam.json': steam.replace('Long Game', 'New Game') })
    await rm(join(folder.path, 'repo/.git/index.lock'))
    await expect.poll(() => text('games_library'), soon).toContain('New Game')
  })
})

describe('a folder of bad input', () => {
  let folder: Folder
  let program: Program
  let sources: string
  let client: McpClient
  beforeAll(async () => {
    folder = await createFolder({
      'good.json': steam,
      'nothing.csv': '',
      'half.json': steam.slice(0, 100),
      'half.fit': fitFile(new Date()).subarray(0, 60),
      'broken.fit': corrupted(fitFile(new Date())),
      'half.xml': '<HealthData><Record type="a"',
      'latin1.csv': Buffer.from(openscale.replace('feast', 'Frühstück'), 'latin1'),
      'foreign.xml': '<gpx><trk/></gpx>',
      'foreign.json': '{"some":"thing"}',
      'foreign.csv': 'a,b\n1,2\n',
      'columns.csv': letterboxd.watched,
      'private.json': '{"response":{}}',
      'export.zip': Buffer.from('PK\x03\x04 and so on'),
      'deep.json': `[{"ms_played":1,"ts":"x"},${'['.repeat(200_000)}`,
      'long.json': `[{"ms_played":1,"ts":"${'x'.repeat(9_000_000)}`,
      'line.jsonl': `{"track_metadata":{},"listened_at":1}\n${'x'.repeat(9_000_000)}`,
      'cell.csv': `Date,"Weight (kg)",Fat\n2025-01-01,80,"${'x'.repeat(3_000_000)}`,
      'wide.xml': `<HealthData><Record type="${'x'.repeat(3_000_000)}`,
      'laughs.xml': laughs,
      'bomb.json.gz': gzipSync(Buffer.concat([Buffer.from('[{"ms_played":1,"ts":"'), Buffer.alloc(50_000_000, 0x61)])),
      'cut.csv.gz': gzipSync(withings).subarray(0, 60),
      'formula.csv': withings.replace('42.10,', '42.10,"=HYPERLINK(""http://192.0.2.1/"")"'),
      'useless.csv': `${openscale.split('\n', 1)}\n0.0,"","soon",0.0,0.0,0.0,much\n`,
      'notes.txt': 'no export at all',
      'picture.png': Buffer.from([0x89, 0x50, 0, 0]),
      'name\nwith | signs.csv': 'a,b\n1,2\n',
    })
    await writeFile(join(folder.path, 'huge.xml'), '<HealthData>')
    truncateSync(join(folder.path, 'huge.xml'), 5 * 1024 ** 3)
    await symlink('/etc/passwd', join(folder.path, 'passwd.csv'))
    await symlink('/etc', join(folder.path, 'etc'))
    await symlink('nowhere', join(folder.path, 'lost.csv'))
    await symlink('.', join(folder.path, 'loop'))
    execFileSync('mkfifo', [join(folder.path, 'pipe.csv')])
    await mkdir(join(folder.path, '.git'))
    await writeFile(join(folder.path, '.git', 'hidden.json'), steam)
    program = await launchProgram(main, { PERSONAL_DATA_DIR: folder.path, PERSONAL_REDACT: 'off' })
    client = await connectCurl(`${program.url}/mcp`)
    sources = (await client.callTool('data_sources')).text
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    await folder?.[Symbol.asyncDispose]()
  })

  test.each([
    ['nothing.csv', 'empty'],
    ['half.json', 'not whole JSON: '],
    ['half.fit', 'not a whole FIT file: '],
    ['broken.fit', 'not a whole FIT file: '],
    ['half.xml', 'not whole XML: '],
    ['latin1.csv', 'not UTF-8 text: save it as UTF-8'],
    ['foreign.xml', 'not one of the exports that are known'],
    ['foreign.json', 'not one of the exports that are known'],
    ['foreign.csv', 'not one of the exports that are known'],
    ['columns.csv', 'not one of the exports that are known'],
    ['private.json', 'an empty answer: the profile was private when Steam was asked'],
    ['export.zip', 'a zip: unpack it'],
    ['deep.json', 'not whole JSON: '],
    ['long.json', 'no entry within 4000000 characters'],
    ['line.jsonl', 'a line of more than 4000000 characters'],
    ['cell.csv', 'not a whole table: '],
    ['wide.xml', 'not whole XML: '],
    ['laughs.xml', 'not whole XML: '],
    ['bomb.json.gz', 'no entry within 4000000 characters'],
    ['cut.csv.gz', 'not a whole .gz: '],
    ['huge.xml', '5368709120 bytes, more than the 4294967296 that are read'],
    ['useless.csv', 'no line of it is of use: '],
    ['passwd.csv', 'a link that leaves the folder is not followed'],
    ['etc', 'a link that leaves the folder is not followed'],
    ['lost.csv', 'a link that leads nowhere'],
    ['name with | signs.csv', 'not one of the exports that are known'],
  ])('names %s in one line: %s', (path, words) => {
    const lines = sources.split('\n').filter((line) => line.startsWith(`- ${path}: `))
    expect(lines).toEqual([expect.stringContaining(words)])
    expect(lines[0]?.length).toBeLessThan(250)
    expect(lines[0]).not.toContain(folder.path)
  })

  test('reads the rest, and lives', async () => {
    expect(rowsIn(sources).map(([path]) => path)).toEqual(['formula.csv', 'good.json'])
    expect(sources).toContain('2 other files are no exports.')
    expect(sources).not.toMatch(/hidden|pipe|loop/)
    expect(rowsIn((await client.callTool('games_library')).text)).toHaveLength(3)
    expect((await client.callTool('weight_series')).text).toContain('=HYPERLINK("http://192.0.2.1/")')
    expect((await fetch(`${program.url}/healthz`)).status).toBe(200)
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    expect(program.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })
})

/** With a bit turned in its middle. */
function corrupted(bytes: Buffer): Buffer {
  const broken = Buffer.from(bytes)
  const middle = broken.length >> 1
  broken[middle] = (broken[middle] ?? 0) ^ 0x10
  return broken
}

const laughs = `<?xml version="1.0"?>
<!DOCTYPE HealthData [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<HealthData><Record type="&c;"/></HealthData>`

describe('personal as a program', () => {
  test.each([
    ['without a folder', {}, /^PERSONAL_DATA_DIR is not set: give the folder that holds the exports$/],
    [
      'in no time zone',
      { PERSONAL_DATA_DIR: '/', PERSONAL_TZ: 'Mars/Base' },
      /^PERSONAL_TZ="Mars\/Base": give a time zone/,
    ],
    ['with odd units', { PERSONAL_DATA_DIR: '/', PERSONAL_UNITS: 'stone' }, /^PERSONAL_UNITS="stone": give metric/],
    [
      'with an odd wait',
      { PERSONAL_DATA_DIR: '/', PERSONAL_RELOAD_SECONDS: '0' },
      /^PERSONAL_RELOAD_SECONDS="0": give 1/,
    ],
  ])('says why in one line %s', async (_, env, words) => {
    const { code, lines } = await failProgram(main, env)
    expect([code, lines.length, lines[0]?.msg]).toEqual([1, 1, expect.stringMatching(words)])
  })

  test('answers without any export, and ends when it is asked to', async () => {
    const { program, text, fault } = await serveFolder({})
    expect(await text('data_sources')).toContain('0 exports in the folder')
    for (const name of ['music_recent', 'fitness_activities', 'films_diary', 'games_library', 'weight_trend'])
      expect(await fault(name)).toContain('data_sources lists what there is')
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
  })

  test('reads half a million records in little memory', { timeout: 180_000 }, async () => {
    const record =
      '<Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" startDate="2025-03-01 08:00:00 +0100" value="60"/>\n'
    const weight = record.replace('HeartRate', 'BodyMass').replace('count/min', 'kg')
    const half = record.repeat(250_000)
    const { program, rows } = await serveFolder({ 'export.xml': `<HealthData>${half}${weight}${half}</HealthData>` })
    const read = async () => beginnings(await rows('data_sources'))
    await expect.poll(read, { timeout: 120_000, interval: 200 }).toEqual([['export.xml', 'Apple Health', '1']])
    const status = readFileSync(`/proc/${program.pid}/status`, 'utf8')
    const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1])
    expect(peak).toBeLessThan(250_000)
  })
})

suite('the samples of real exports', ['shared-data'], () => {
  const samples = fileURLToPath(new URL('../../../shared/data/personal', import.meta.url))

  test('are all read', async () => {
    const program = await startProgram(main, { PERSONAL_DATA_DIR: samples, PERSONAL_TZ: 'Europe/Berlin' })
    const client = await connectCurl(`${program.url}/mcp`)
    const { text, rows } = asking(() => client)
    const sources = await text('data_sources')
    expect(sources).toContain('16 exports in the folder')
    expect(rowsIn(sources).map((row) => row.at(-1))).toEqual(Array(16).fill('ok'))
    expect(sources).not.toContain('Not read')
    expect(beginnings(await rows('music_top', { kind: 'artist' }))).toEqual([
      ['1', 'Burial', '2'],
      ['2', 'Björk', '1'],
      ['3', 'Boards of Canada', '1'],
    ])
    const [run] = await rows('fitness_activities', { type: 'run', sort: 'fastest', limit: 1 })
    expect(run?.slice(0, 6)).toEqual(['2024-01-15 07:30', 'run', 'Morning Run', '7.21', '44:00', '6:06 /km'])
    expect(await text('weight_trend')).toContain('Trend: -0.50 kg a week')
    expect((await rows('films_search', { query: 'shining' }))[0]?.slice(0, 5)).toEqual([
      'The Shining',
      '1980',
      '5',
      'seen',
      '2',
    ])
    expect((await rows('games_library'))[0]?.slice(0, 2)).toEqual(['Portal 2', '20.6 h'])
  })
})
