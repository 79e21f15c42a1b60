/** A play of a song, from its start. */
export interface Listen {
  readonly kind: 'listen'
  /** Unix seconds. */
  readonly at: number
  readonly artist: string
  readonly title: string
  /** Empty where the export has none. */
  readonly album: string
  /** How long it was played, where that is known. */
  readonly seconds?: number | undefined
}

export interface Activity {
  readonly kind: 'activity'
  /** Unix seconds of its start. */
  readonly at: number
  readonly sport: string
  readonly name: string
  readonly metres?: number | undefined
  /** Seconds in motion, and from start to end. */
  readonly moving?: number | undefined
  readonly elapsed?: number | undefined
  /** Metres upwards. */
  readonly climb?: number | undefined
  /** Beats a minute. */
  readonly heart?: number | undefined
  readonly maxHeart?: number | undefined
  readonly kcal?: number | undefined
  readonly note?: string | undefined
}

/** A line about a film in one of Letterboxd's lists. */
export interface Film {
  readonly kind: 'film'
  readonly list: 'diary' | 'reviews' | 'ratings' | 'watched' | 'watchlist'
  readonly name: string
  readonly year?: number | undefined
  /** `YYYY-MM-DD`: when it was watched, or else when the line was written. */
  readonly day: string
  /** 0.5 to 5 stars. */
  readonly rating?: number | undefined
  readonly rewatch: boolean
  readonly tags: string
  readonly review: string
}

export interface Game {
  readonly kind: 'game'
  readonly appid: number
  readonly name: string
  readonly minutes: number
  /** Minutes of the last two weeks, when the file was made. */
  readonly recent: number
  /** Unix seconds; absent for a game that was never played. */
  readonly last?: number | undefined
}

export interface Weight {
  readonly kind: 'weight'
  /** Unix seconds. */
  readonly at: number
  readonly kg: number
  /** Percent of the weight. */
  readonly fat?: number | undefined
  readonly note: string
}

export type Row = Listen | Activity | Film | Game | Weight

/** A line that holds nothing of use, with the reason. */
export interface Unusable {
  readonly kind: 'unusable'
  readonly why: string
}

export function unusable(why: string): Unusable {
  return { kind: 'unusable', why }
}

/** A file cannot be read as what it seems to be: its message is shown beside its path. */
export class Unreadable extends Error {}
