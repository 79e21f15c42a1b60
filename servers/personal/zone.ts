import { DateTime, IANAZone } from 'luxon'

/** A date and a time of day as a clock on the wall shows them. */
export interface Wall {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour?: number
  readonly minute?: number
  readonly second?: number
}

export interface Zone {
  readonly name: string
  /** Unix seconds of what its clocks show; undefined for a date or time that there is none of. */
  readonly instant: (wall: Wall) => number | undefined
  /** `YYYY-MM-DD` of unix seconds. */
  readonly dayOf: (at: number) => string
  /** `YYYY-MM-DD HH:MM` of unix seconds. */
  readonly timeOf: (at: number) => string
}

const secondsOfDay = 86_400
/** Years that a date may have; what is beyond is a slip. */
const years = { first: 1900, last: 2200 }

export function createZone(name: string): Zone {
  const zone = IANAZone.create(name)
  const offsets = new Map<number, number | undefined>()
  const exactOffset = (at: number) => zone.offset(at * 1000) * 60
  /** Where the offset is the same at both ends of a day of UTC, it is for the whole of it. */
  const offsetOf = (at: number) => {
    const day = Math.floor(at / secondsOfDay)
    if (!offsets.has(day)) {
      const [first, last] = [exactOffset(day * secondsOfDay), exactOffset((day + 1) * secondsOfDay)]
      offsets.set(day, first === last ? first : undefined)
    }
    return offsets.get(day) ?? exactOffset(at)
  }
  const local = (at: number) => new Date((at + offsetOf(at)) * 1000).toISOString()
  return {
    name,
    instant: (wall) => {
      const found = DateTime.fromObject(wall, { zone })
      return found.isValid && isLikely(wall.year) ? found.toSeconds() : undefined
    },
    dayOf: (at) => local(at).slice(0, 10),
    timeOf: (at) => local(at).slice(0, 16).replace('T', ' '),
  }
}

export const utc = createZone('UTC')

/** Whether unix seconds lie in a year that a date may have. */
export function isInstant(at: number): boolean {
  return Number.isFinite(at) && isLikely(new Date(at * 1000).getUTCFullYear())
}

export function isLikely(year: number): boolean {
  return year >= years.first && year <= years.last
}
