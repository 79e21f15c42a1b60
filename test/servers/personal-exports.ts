import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** One small export of each kind, as its service writes it; all of them tell of the first days of March 2025. */

const noon = Date.UTC(2025, 2, 1, 12) / 1000

export function listenbrainzLine(at: number, artist = 'The Testers', track = 'First Light', ms?: number): string {
  const additional_info = { media_player: 'a player', ...(ms === undefined ? {} : { duration_ms: ms }) }
  const track_metadata = {
    artist_name: artist,
    track_name: track,
    release_name: 'Songs',
    additional_info,
    mbid_mapping: null,
  }
  return JSON.stringify({ inserted_at: at + 30, listened_at: at, recording_msid: 'x', track_metadata })
}

export const listenbrainz = `${[0, 1, 2].map((hour) => listenbrainzLine(noon + hour * 3600)).join('\n')}\n`

export function lastfmPage(track: unknown): string {
  return JSON.stringify({ recenttracks: { track, '@attr': { user: 'me', totalPages: '1', page: '1', total: '2' } } })
}

export function lastfmTrack(name: string, uts?: number) {
  const when = uts === undefined ? { '@attr': { nowplaying: 'true' } } : { date: { uts: String(uts), '#text': 'then' } }
  return { artist: { mbid: '', '#text': 'Les Accents' }, album: { mbid: '', '#text': 'Été' }, name, url: 'x', ...when }
}

export const lastfm = lastfmPage([lastfmTrack('Bientôt'), lastfmTrack('Déjà vu', noon)])

export function spotifyPlay(ts: string, ms_played: number, track: string | null = 'Second Wind') {
  const artist = track === null ? null : 'The Testers'
  return {
    ...{ ts, platform: 'linux', ms_played, conn_country: 'XX', ip_addr: '192.0.2.7' },
    master_metadata_track_name: track,
    master_metadata_album_artist_name: artist,
    master_metadata_album_album_name: artist,
    ...{
      spotify_track_uri: null,
      episode_name: track === null ? 'A talk' : null,
      skipped: null,
      offline_timestamp: null,
    },
  }
}

export const spotifyExtended = JSON.stringify([
  spotifyPlay('2025-03-01T18:04:00Z', 240_000),
  spotifyPlay('2025-03-01T18:05:00Z', 12_000),
  spotifyPlay('2025-03-01T19:00:00Z', 1_800_000, null),
])

export const spotifyBasic = JSON.stringify([
  { endTime: '2025-03-02 00:30', artistName: 'The Testers', trackName: 'Third Time', msPlayed: 180_000 },
])

const stravaNames =
  'Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance,Max Heart Rate,Relative Effort,Commute,Activity Private Note,Activity Gear,Filename,Athlete Weight,Bike Weight,Elapsed Time,Moving Time,Distance,Max Speed,Average Speed,Elevation Gain,Elevation Loss,Elevation Low,Elevation High,Max Grade,Average Grade,Average Positive Grade,Average Negative Grade,Max Cadence,Average Cadence,Max Heart Rate,Average Heart Rate,Max Watts,Average Watts,Calories'
export const strava = `${stravaNames}
1,"Mar 1, 2025, 11:30:00 PM","Late, but ""done""",Run,"slow
and steady",3000,10.02,170,50,false,my own business,Shoes,activities/1.fit.gz,70.0,,3000.0,2900.0,10021.5,4,3,55.0,54,1,2,,0,,,90,85,170,150,,,600
2,"Mar 2, 2025, 7:00:00 AM",Lanes,Swim,,1500,"1,000",140,20,false,,,,70.0,,1500.0,1400.0,1000.0,1,1,,,,,,,,,,,140,120,,,200
`

/** The same in German: other names in the same order, days before months, and commas in what people read. */
export const stravaGerman = `Aktivitäts-ID,Aktivitätsdatum,Name der Aktivität,Aktivitätsart,Aktivitätsbeschreibung,Verstrichene Zeit,Distanz,Max. Herzfrequenz,Relative Leistung,Pendeln,Private Notiz,Ausrüstung,Dateiname,Gewicht des Athleten,Fahrradgewicht,Verstrichene Zeit,Bewegungszeit,Distanz,Max. Tempo,Tempo,Höhenzunahme,Höhenabnahme,Tief,Hoch,Max. Steigung,Steigung,Bergauf,Bergab,Max. Tritt,Tritt,Max. Herzfrequenz,Herzfrequenz,Max. Watt,Watt,Kalorien
3,"01.03.2025, 23:30:00",Spätlauf,Lauf,,3000,"10,02",170,50,false,,,,"70,0",,3000.0,2900.0,10021.5,4,3,55.0,54,1,2,,0,,,90,85,170.0,150.0,,,600.0
`

const garminNames =
  'Activity Type,Date,Favorite,Title,Distance,Calories,Time,Avg HR,Max HR,Avg Pace,Best Pace,Total Ascent,Total Descent'
export const garmin = `\ufeff${garminNames}
Trail Running,2025-03-03 18:00:00,false,"Hills","12.50","1,050","01:15:30","151","178","6:02","4:10","1,200","1,190"
Pool Swimming,2025-03-04 06:30:00,false,"Lanes","1,500","400","00:30:00","--","--","2:00","1:40","--","--"
`

export const garminGerman = `Aktivitätstyp,Datum,Favorit,Titel,Distanz,Kalorien,Zeit,Ø HF,Max. HF,Ø Pace,Beste Pace,Anstieg gesamt,Abstieg gesamt
Laufen,2025-03-05 18:00:00,false,"Runde","7,25","1.050","00:45:30","151","178","6:02","4:10","1.200","120"
`

export const apple = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!ELEMENT HealthData (ExportDate,Me,(Record|Workout)*)>
<!ENTITY many "much much">
]>
<HealthData locale="en_GB">
 <ExportDate value="2025-03-10 10:00:00 +0100"/>
 <Record type="HKQuantityTypeIdentifierBodyMass" unit="lb" startDate="2025-03-01 23:30:00 -0800" value="176.4"/>
 <Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" startDate="2025-03-01 08:00:00 +0100" value="60"/>
 <Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="44.5" durationUnit="min" totalDistance="5" totalDistanceUnit="mi" startDate="2025-03-06 06:30:00 +0100" endDate="2025-03-06 07:15:30 +0100"/>
 <Workout workoutActivityType="HKWorkoutActivityTypeTraditionalStrengthTraining" duration="30" durationUnit="min" startDate="2025-03-07 06:30:00 +0100" endDate="2025-03-07 07:00:00 +0100"/>
 <Workout workoutActivityType="HKWorkoutActivityTypeHiking" duration="2" durationUnit="hr" startDate="2025-03-08 06:30:00 +0100" endDate="2025-03-08 08:30:00 +0100">
  <WorkoutStatistics type="HKQuantityTypeIdentifierDistanceWalkingRunning" sum="8.5" unit="km"/>
 </Workout>
</HealthData>
`

export const letterboxd = {
  diary: `Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2025-03-02,"Here, There",1962,https://boxd.it/a1,4.5,,"cinema, with friends",2025-03-01
2025-03-05,Somewhere,1999,https://boxd.it/a2,,Yes,,2025-03-04
`,
  reviews: `Date,Name,Year,Letterboxd URI,Rating,Rewatch,Review,Tags,Watched Date
2025-03-02,"Here, There",1962,https://boxd.it/a1,4.5,,"Slow at first,
then not.","cinema, with friends",2025-03-01
`,
  ratings: `Date,Name,Year,Letterboxd URI,Rating
2025-03-02,"Here, There",1962,https://boxd.it/b1,5
2025-03-06,Elsewhere,2001,https://boxd.it/b3,2
`,
  watched: `Date,Name,Year,Letterboxd URI
2025-03-02,"Here, There",1962,https://boxd.it/b1
2025-03-06,Elsewhere,2001,https://boxd.it/b3
`,
  watchlist: `Date,Name,Year,Letterboxd URI
2025-03-07,Nowhere Yet,2024,https://boxd.it/b4
`,
}

export const steam = JSON.stringify({
  response: {
    game_count: 3,
    games: [
      { appid: 10, name: 'Long Game', playtime_forever: 6_000, playtime_2weeks: 90, rtime_last_played: noon },
      { appid: 20, playtime_forever: 30, rtime_last_played: noon - 86_400 },
      { appid: 30, name: 'Shelf Warmer', playtime_forever: 0, rtime_last_played: 0 },
    ],
  },
})

export const openscale = `"bone","comment","dateTime","fat","muscle","water","weight"
3.1,"","2025-03-01 07:00",20.5,40.5,53.0,81.5
0.0,"after a feast, late","2025-03-01 22:00",0.0,0.0,0.0,82.5
0.0,"","2025-03-02 07:00",0.0,0.0,0.0,0.0
`

export const withings = `Date,"Weight (kg)","Fat mass (kg)","Bone mass (kg)","Muscle mass (kg)","Hydration (kg)",Comments
"2025-03-08 07:05:12",80.00,16.00,3.10,60.50,42.10,
"2025-03-07 07:00:33",80.50,,,,,
`

/** Of an old app, with what goes with decimal commas. */
export const plainWeights = `Datum;Gewicht
09.03.2025 07:00;79,8
10.03.2025 07:00;79,625
`

/** A recorded run: the header, the file's kind, one session, and the check sum (FIT protocol 2.0). */
export function fitFile(start: Date): Buffer {
  const epoch = Date.UTC(1989, 11, 31)
  const seconds = (start.getTime() - epoch) / 1000
  const [byte, word, long] = [0x02, 0x84, 0x86]
  const fileId = message(0, [
    [0, 0x00, 4],
    [1, word, 255],
    [4, long, seconds],
  ])
  const session = message(18, [
    [253, long, seconds + 1800],
    [2, long, seconds],
    [5, 0x00, 1],
    [7, long, 1_850_000],
    [8, long, 1_800_000],
    [9, long, 600_000],
    [11, word, 420],
    [16, byte, 155],
    [17, byte, 177],
    [22, word, 66],
  ])
  const data = Buffer.concat([fileId, session])
  const header = Buffer.alloc(14)
  header.set([14, 0x20, 0, 0])
  header.writeUInt32LE(data.length, 4)
  header.write('.FIT', 8, 'latin1')
  header.writeUInt16LE(checkSum(header.subarray(0, 12)), 12)
  const whole = Buffer.concat([header, data, Buffer.alloc(2)])
  whole.writeUInt16LE(checkSum(whole.subarray(0, -2)), whole.length - 2)
  return whole
}

/** A definition and its message: fields by number, base type and value. */
function message(global: number, fields: readonly (readonly [number, number, number])[]): Buffer {
  const size = (type: number) => (type === 0x86 ? 4 : type === 0x84 ? 2 : 1)
  const definition = [0x40, 0, 0, global & 255, global >> 8, fields.length]
  const values = fields.map(([, type, value]) => {
    const bytes = Buffer.alloc(size(type))
    bytes.writeUIntLE(value, 0, bytes.length)
    return bytes
  })
  const described = fields.flatMap(([number, type]) => [number, size(type), type])
  return Buffer.concat([Buffer.from([...definition, ...described, 0]), ...values])
}

function checkSum(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes)
    for (let bit = 0, value = crc ^ byte; bit < 8; bit++) {
      value = value & 1 ? (value >> 1) ^ 0xa001 : value >> 1
      if (bit === 7) crc = value
    }
  return crc
}

/** Every kind by where it may lie. */
export const everyExport: Readonly<Record<string, string | Buffer>> = {
  'listens/2025/3.jsonl': listenbrainz,
  'music/lastfm.json': lastfm,
  'music/Streaming_History_Audio_2025_0.json': spotifyExtended,
  'music/StreamingHistory_music_0.json': spotifyBasic,
  'sports/strava.csv': strava,
  'sports/garmin.csv': garmin,
  'sports/export.xml': apple,
  'sports/run.fit': fitFile(new Date('2025-03-09T08:00:00Z')),
  ...Object.fromEntries(Object.entries(letterboxd).map(([name, text]) => [`films/${name}.csv`, text])),
  'games/steam.json': steam,
  'weight/openscale.csv': openscale,
  'weight/withings.csv': withings,
  'weight/old.csv': plainWeights,
}

export interface Folder extends AsyncDisposable {
  readonly path: string
  readonly write: (files: Readonly<Record<string, string | Buffer>>) => Promise<void>
}

export async function createFolder(files: Readonly<Record<string, string | Buffer>> = {}): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'personal-'))
  const write = async (more: Readonly<Record<string, string | Buffer>>) => {
    for (const [name, content] of Object.entries(more)) {
      await mkdir(dirname(join(path, name)), { recursive: true })
      await writeFile(join(path, name), content)
    }
  }
  await write(files)
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
