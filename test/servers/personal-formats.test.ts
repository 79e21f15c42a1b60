import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openContent } from '../../servers/personal/folder/content.ts'
import { headOf, recognise } from '../../servers/personal/format/recognise.ts'
import type { Row, Unusable } from '../../servers/personal/record.ts'
import type { Units } from '../../servers/personal/settings.ts'
import { readMoment } from '../../servers/personal/text/moment.ts'
import { decimalOf, readDuration, readNumber } from '../../servers/personal/text/number.ts'
import { createZone } from '../../servers/personal/zone.ts'
import {
  apple,
  createFolder,
  fitFile,
  garmin,
  garminGerman,
  lastfm,
  lastfmPage,
  lastfmTrack,
  letterboxd,
  listenbrainz,
  listenbrainzLine,
  openscale,
  plainWeights,
  spotifyBasic,
  spotifyExtended,
  steam,
  strava,
  stravaGerman,
  withings,
} from './personal-exports.ts'

interface Place {
  readonly zone?: string
  readonly units?: Units
  readonly path?: string
}

/** What a file is taken for, and its rows. */
async function read(content: string | Buffer, { zone = 'UTC', units = 'metric', path = 'file' }: Place = {}) {
  await using folder = await createFolder({ [path]: content })
  await using file = await openContent(join(folder.path, path), AbortSignal.timeout(30_000))
  const head = headOf(path, file)
  const format = recognise(head)
  const rows: (Row | Unusable)[] = []
  for await (const row of format?.read({ head, content: file, zone: createZone(zone), units }) ?? []) rows.push(row)
  return { format: format?.name, rows }
}

const utc = (text: string) => Date.parse(`${text}Z`) / 1000
const unusable = { kind: 'unusable', why: expect.any(String) }

describe('ListenBrainz', () => {
  test('is read line by line', async () => {
    const { format, rows } = await read(listenbrainz)
    expect(format).toBe('ListenBrainz')
    expect(rows).toHaveLength(3)
    expect(rows[0]).toEqual({
      ...{ kind: 'listen', at: utc('2025-03-01T12:00:00'), seconds: undefined },
      ...{ artist: 'The Testers', title: 'First Light', album: 'Songs' },
    })
  })

  test('is read as a list, and as the answer of the API', async () => {
    const lines = [listenbrainzLine(1_740_000_000, 'A', 'B', 200_500), listenbrainzLine(1_740_000_300)]
    const list = await read(`[${lines}]`)
    expect(list.rows).toMatchObject([{ artist: 'A', seconds: 200.5 }, { artist: 'The Testers' }])
    expect((await read(`{"payload":{"count":2,"listens":[${lines}]}}`)).rows).toEqual(list.rows)
  })

  test('may end in the middle of a line', async () => {
    const { rows } = await read(listenbrainz + listenbrainzLine(1_740_000_000).slice(0, 80))
    expect(rows.map(({ kind }) => kind)).toEqual(['listen', 'listen', 'listen', 'unusable'])
  })
})

describe('Last.fm', () => {
  test('leaves out what plays just now', async () => {
    const { format, rows } = await read(lastfm)
    expect(format).toBe('Last.fm')
    expect(rows).toEqual([
      { kind: 'listen', at: utc('2025-03-01T12:00:00'), artist: 'Les Accents', title: 'Déjà vu', album: 'Été' },
    ])
  })

  test('may have one track that is in no list, and many pages', async () => {
    const page = lastfmPage(lastfmTrack('Seul', 1_740_000_000))
    expect((await read(page)).rows).toMatchObject([{ title: 'Seul' }])
    expect((await read(`[${page},${lastfm}]`)).rows).toMatchObject([{ title: 'Seul' }, { title: 'Déjà vu' }])
  })
})

describe('Spotify', () => {
  test('tells in its extended history when a play ended, and what is no music', async () => {
    const { format, rows } = await read(spotifyExtended)
    expect(format).toBe('Spotify (extended)')
    expect(rows).toMatchObject([
      { at: utc('2025-03-01T18:00:00'), seconds: 240, title: 'Second Wind' },
      { at: utc('2025-03-01T18:04:48'), seconds: 12 },
    ])
    expect(JSON.stringify(rows)).not.toMatch(/192\.0\.2\.7|XX/)
  })

  test('writes its short history in UTC, wherever the reader lives', async () => {
    for (const zone of ['UTC', 'Asia/Tokyo']) {
      const { format, rows } = await read(spotifyBasic, { zone })
      expect(format).toBe('Spotify')
      expect(rows).toMatchObject([{ at: utc('2025-03-02T00:27:00'), seconds: 180, title: 'Third Time', album: '' }])
    }
  })
})

describe('Strava', () => {
  test('writes in UTC, has metres beside kilometres, and descriptions of many lines', async () => {
    const { format, rows } = await read(strava, { zone: 'Europe/Berlin' })
    expect(format).toBe('Strava')
    expect(rows).toEqual([
      {
        ...{ kind: 'activity', at: utc('2025-03-01T23:30:00'), sport: 'run', name: 'Late, but "done"' },
        ...{ metres: 10_021.5, moving: 2900, elapsed: 3000, climb: 55, heart: 150, maxHeart: 170, kcal: 600 },
        note: 'slow\nand steady',
      },
      expect.objectContaining({ sport: 'swim', metres: 1000, climb: undefined, at: utc('2025-03-02T07:00:00') }),
    ])
  })

  test('is known in another language by the order of its columns', async () => {
    const { format, rows } = await read(stravaGerman, { zone: 'Europe/Berlin' })
    expect(format).toBe('Strava')
    expect(rows).toMatchObject([
      {
        at: utc('2025-03-01T23:30:00'),
        sport: 'run',
        metres: 10_021.5,
        moving: 2900,
        climb: 55,
        heart: 150,
        kcal: 600,
      },
    ])
  })

  test('had kilometres alone in old archives, and metres for a swim', async () => {
    const old = `Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance,Commute,Activity Gear,Filename
4,"Jul 4, 2016, 5:00:00 PM",Old,Ride,,3600,30.5,false,,x
5,"Jul 5, 2016, 5:00:00 PM",Old,Swim,,3600,"1,500.5",false,,x
6,"Jul 6, 2016, 5:00:00 PM",Cut`
    expect((await read(old)).rows).toMatchObject([{ metres: 30_500, elapsed: 3600 }, { metres: 1500.5 }, unusable])
  })
})

describe('Garmin Connect', () => {
  test('parts thousands by a comma, and has nothing for --', async () => {
    const { format, rows } = await read(garmin, { zone: 'Europe/Berlin' })
    expect(format).toBe('Garmin Connect')
    expect(rows).toMatchObject([
      { at: utc('2025-03-03T17:00:00'), sport: 'trail run', metres: 12_500, kcal: 1050, climb: 1200, moving: 4530 },
      { at: utc('2025-03-04T05:30:00'), sport: 'pool swim', metres: 1500, heart: undefined, climb: undefined },
    ])
  })

  test('has decimal commas in German', async () => {
    const { format, rows } = await read(garminGerman)
    expect(format).toBe('Garmin Connect')
    expect(rows).toMatchObject([{ sport: 'run', metres: 7250, kcal: 1050, climb: 1200, heart: 151, maxHeart: 178 }])
  })

  test('is in miles and feet where the account is', async () => {
    const { rows } = await read(garmin, { units: 'imperial' })
    expect(rows).toMatchObject([
      { metres: expect.closeTo(20_116.8, 3), climb: expect.closeTo(365.76, 3) },
      { metres: expect.closeTo(1371.6, 3) },
    ])
  })
})

test('Apple Health is read with its offsets and units, and its entities stay as they are', async () => {
  const { format, rows } = await read(apple, { zone: 'Europe/Berlin' })
  expect(format).toBe('Apple Health')
  expect(rows).toMatchObject([
    { kind: 'weight', at: utc('2025-03-02T07:30:00'), kg: expect.closeTo(80.014, 3) },
    { sport: 'run', at: utc('2025-03-06T05:30:00'), metres: expect.closeTo(8046.72, 3), moving: 2670, elapsed: 2730 },
    { sport: 'strength', metres: undefined, moving: 1800 },
    { sport: 'hike', metres: 8500, moving: 7200 },
  ])
})

test('a FIT file is read, and packed as Strava keeps it', async () => {
  const bytes = fitFile(new Date('2025-03-09T08:00:00Z'))
  const { format, rows } = await read(bytes, { zone: 'Asia/Tokyo' })
  expect(format).toBe('FIT')
  expect(rows).toEqual([
    {
      ...{ kind: 'activity', at: utc('2025-03-09T08:00:00'), sport: 'run', name: '' },
      ...{ metres: 6000, moving: 1800, elapsed: 1850, climb: 66, heart: 155, maxHeart: 177, kcal: 420 },
    },
  ])
  expect((await read(gzipSync(bytes), { path: 'run.fit.gz' })).rows).toEqual(rows)
})

test.each(Object.entries(letterboxd))('Letterboxd’s %s is read', async (list, text) => {
  const { format, rows } = await read(text, { path: `${list}.csv` })
  expect(format).toBe('Letterboxd')
  expect(rows.every((row) => row.kind === 'film' && row.list === list)).toBe(true)
  const [first] = rows
  const seen = { name: 'Here, There', year: 1962, rewatch: false }
  expect(first).toMatchObject(list === 'watchlist' ? { name: 'Nowhere Yet', year: 2024 } : seen)
  if (list === 'diary') expect(first).toMatchObject({ day: '2025-03-01', rating: 4.5, tags: 'cinema, with friends' })
  if (list === 'diary') expect(rows[1]).toMatchObject({ rating: undefined, rewatch: true })
  if (list === 'reviews') expect(first).toMatchObject({ review: 'Slow at first,\nthen not.' })
})

test('Letterboxd’s likes are nothing that was watched', async () => {
  expect((await read(letterboxd.watched, { path: 'likes/films.csv' })).format).toBeUndefined()
})

describe('Steam', () => {
  test('may leave names out, and says 0 for never', async () => {
    const { format, rows } = await read(steam)
    expect(format).toBe('Steam')
    expect(rows).toMatchObject([
      { name: 'Long Game', minutes: 6000, recent: 90, last: utc('2025-03-01T12:00:00') },
      { name: 'app 20', recent: 0 },
      { name: 'Shelf Warmer', last: undefined },
    ])
  })

  test('is empty for a private profile, which is said', async () => {
    await expect(read('{"response":{}}')).rejects.toThrow('the profile was private')
  })
})

describe('weights', () => {
  test('of openScale are 0.0 where there was none', async () => {
    const { format, rows } = await read(openscale, { zone: 'America/New_York' })
    expect(format).toBe('openScale')
    expect(rows).toEqual([
      { kind: 'weight', at: utc('2025-03-01T12:00:00'), kg: 81.5, fat: 20.5, note: '' },
      { kind: 'weight', at: utc('2025-03-02T03:00:00'), kg: 82.5, fat: undefined, note: 'after a feast, late' },
      unusable,
    ])
  })

  test('of Withings have their unit in the name of the column', async () => {
    const { format, rows } = await read(withings)
    expect(format).toBe('Withings')
    expect(rows).toMatchObject([
      { kg: 80, fat: 20 },
      { kg: 80.5, fat: undefined },
    ])
    const pounds = (await read(withings.replaceAll('(kg)', '(lb)'))).rows
    expect(pounds).toMatchObject([{ kg: expect.closeTo(36.287, 3), fat: 20 }, {}])
  })

  test('of any table are in the units of the owner', async () => {
    const { format, rows } = await read(plainWeights)
    expect(format).toBe('weights')
    expect(rows).toMatchObject([
      { at: utc('2025-03-09T07:00:00'), kg: 79.8 },
      { at: utc('2025-03-10T07:00:00'), kg: 79.625 },
    ])
    const pounds = await read('dateTime,weight\n2025-03-09 07:00,176.4\n', { units: 'imperial' })
    expect(pounds.rows).toMatchObject([{ kg: expect.closeTo(80.014, 3) }])
  })

  test('that somebody lifted are none of the body', async () => {
    const gym = 'Date,Exercise,Weight,Reps\n2025-03-09 07:00,Squat,80,5\n'
    expect(await read(gym)).toEqual({ format: undefined, rows: [] })
  })

  test('of an old openScale have semicolons, days before months and commas', async () => {
    const old = '"dateTime";"weight";"fat";"water";"muscle"\n"18.04.2021 11:51";80,1;20,3;53,0;40,5\n'
    const { format, rows } = await read(old)
    expect(format).toBe('openScale')
    expect(rows).toMatchObject([{ at: utc('2021-04-18T11:51:00'), kg: 80.1, fat: 20.3 }])
  })
})

describe('times', () => {
  test.each([
    ['2024-01-15 06:30:00', [2024, 1, 15, 6, 30, 0]],
    ['2024-01-15T06:30', [2024, 1, 15, 6, 30, 0]],
    ['15.01.2024, 06:30:07', [2024, 1, 15, 6, 30, 7]],
    ['15/01/2024 06:30', [2024, 1, 15, 6, 30, 0]],
    ['01/15/2024 06:30', [2024, 1, 15, 6, 30, 0]],
    ['Jan 15, 2024, 6:30:00 AM', [2024, 1, 15, 6, 30, 0]],
    ['Jan 15, 2024, 6:30:00\u202fPM', [2024, 1, 15, 18, 30, 0]],
    ['Jan 15, 2024, 12:05:00 AM', [2024, 1, 15, 0, 5, 0]],
    ['Jun 30, 2024, 12:20:56 PM', [2024, 6, 30, 12, 20, 56]],
    ['15 janv. 2024, 06:30:00', [2024, 1, 15, 6, 30, 0]],
    ['15. März 2024 06:30', [2024, 3, 15, 6, 30, 0]],
    ['15 dic 2024, 6:30:00', [2024, 12, 15, 6, 30, 0]],
  ])('reads %s', (text, [year, month, day, hour, minute, second]) => {
    expect(readMoment(text)).toEqual({ year, month, day, hour, minute, second })
  })

  test.each(['', 'soon', '12:30', '2024', 'Foo 15, 2024', '=1+1'])('finds no time in %j', (text) => {
    expect(readMoment(text)).toBeUndefined()
  })

  test('there is no 30th of February, no hour 25 and no year 99999', () => {
    const zone = createZone('Europe/Berlin')
    for (const text of ['2024-02-30', '2024-01-01 25:00', '2024-13-01', '0024-01-01'])
      expect(zone.instant(readMoment(text) ?? { year: 0, month: 1, day: 1 })).toBeUndefined()
    expect(readMoment('99999-01-01')).toBeUndefined()
  })

  test('days begin and end where the owner lives, also when clocks change', () => {
    const zone = createZone('Europe/Berlin')
    expect(zone.timeOf(utc('2024-03-31T00:59:00'))).toBe('2024-03-31 01:59')
    expect(zone.timeOf(utc('2024-03-31T01:00:00'))).toBe('2024-03-31 03:00')
    expect(zone.timeOf(utc('2024-10-27T01:00:00'))).toBe('2024-10-27 02:00')
    expect(zone.dayOf(utc('2024-12-31T23:30:00'))).toBe('2025-01-01')
    expect(createZone('America/Los_Angeles').dayOf(utc('2025-01-01T07:59:00'))).toBe('2024-12-31')
    expect(createZone('Asia/Kathmandu').timeOf(utc('2025-01-01T00:00:00'))).toBe('2025-01-01 05:45')
    expect(zone.instant({ year: 2024, month: 7, day: 1, hour: 12 })).toBe(utc('2024-07-01T10:00:00'))
  })
})

describe('numbers', () => {
  test.each([
    [['7.21', '10'], '.'],
    [['7,21'], ','],
    [['1,050', '12.5'], '.'],
    [['1.050', '12,5'], ','],
    [['1,050.25'], '.'],
    [['1.050,25'], ','],
    [['1,050'], '.'],
    [['--', ''], '.'],
  ] as const)('finds in %j that decimals follow %s', (cells, decimal) => {
    expect(decimalOf(cells)).toBe(decimal)
  })

  test('are read with either, and words are none', () => {
    expect(['1,050', '1 050.5', '-3', ''].map((text) => readNumber(text))).toEqual([1050, 1050.5, -3, undefined])
    expect(['1.050,5', '7,21', '1’000'].map((text) => readNumber(text, ','))).toEqual([1050.5, 7.21, 1000])
    expect(['--', 'NaN', '1e9', '=2+3', '0x10', undefined].map((text) => readNumber(text))).toEqual(
      Array(6).fill(undefined),
    )
    expect(['1:02:03', '02:03', '02:03.5', '63'].map(readDuration)).toEqual([3723, 123, 123.5, undefined])
  })
})
