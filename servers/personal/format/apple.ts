import sax from 'sax'
import { type Activity, type Row, Unreadable, type Unusable, unusable, type Weight } from '../record.ts'
import { readNumber } from '../text/number.ts'
import { isInstant } from '../zone.ts'
import type { Format } from './format.ts'
import { sportOf } from './sport.ts'

type Attributes = Readonly<Record<string, string>>

/** `export.xml` of Apple Health, read as it comes: of its millions of records few are of use. */
export const apple: Format = {
  name: 'Apple Health',
  holds: ({ text }) => /<HealthData[\s>]|<!DOCTYPE HealthData/.test(text),
  read: async function* ({ content }) {
    const parser = createParser()
    for await (const piece of content.text()) {
      parser.write(piece)
      yield* parser.taken()
    }
    parser.end()
    yield* parser.taken()
  },
}

interface Parser {
  readonly write: (piece: string) => void
  /** @throws Unreadable where elements are still open. */
  readonly end: () => void
  /** What was read since it was last asked. */
  readonly taken: () => readonly (Row | Unusable)[]
}

function createParser(): Parser {
  const xml = sax.parser(true, { position: false })
  let rows: (Row | Unusable)[] = []
  let workout: Attributes | undefined
  let distance: Attributes | undefined
  let fault: Error | undefined
  xml.onerror = (error) => {
    fault ??= error
  }
  xml.onopentag = ({ name, attributes }) => {
    const found = textsOf(attributes)
    if (name === 'Record' && found.type === 'HKQuantityTypeIdentifierBodyMass') rows.push(toWeight(found))
    if (name === 'Workout') [workout, distance] = [found, undefined]
    if (name === 'WorkoutStatistics' && /TypeIdentifierDistance/.test(found.type ?? '')) distance = found
  }
  xml.onclosetag = (name) => {
    if (name !== 'Workout' || workout === undefined) return
    rows.push(toActivity(workout, distance))
    workout = undefined
  }
  const demandWhole = () => {
    if (fault !== undefined) throw new Unreadable(`not whole XML: ${firstLine(fault)}`, { cause: fault })
  }
  return {
    write: (piece) => {
      xml.write(piece)
      demandWhole()
    },
    end: () => {
      xml.close()
      demandWhole()
    },
    taken: () => {
      const taken = rows
      rows = []
      return taken
    },
  }
}

function firstLine({ message }: Error): string {
  return message.split('\n', 1)[0] ?? ''
}

function textsOf(attributes: sax.Tag['attributes'] | sax.QualifiedTag['attributes']): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  )
}

/** Unix seconds of `2024-01-15 06:30:00 +0100`. */
function instantOf(text = ''): number | undefined {
  const [, date, time, hours, minutes] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d):?(\d\d)$/.exec(text) ?? []
  const at = Date.parse(`${date}T${time}${hours}:${minutes}`) / 1000
  return isInstant(at) ? at : undefined
}

const kgIn: Readonly<Record<string, number>> = { kg: 1, g: 0.001, lb: 0.45359237, st: 6.35029318 }
const metresIn: Readonly<Record<string, number>> = { m: 1, km: 1000, mi: 1609.344, yd: 0.9144, ft: 0.3048 }
const secondsIn: Readonly<Record<string, number>> = { s: 1, min: 60, hr: 3600 }

function scaled(units: Readonly<Record<string, number>>, value: string | undefined, unit = ''): number | undefined {
  const [number, factor] = [readNumber(value), units[unit]]
  return number === undefined || factor === undefined ? undefined : number * factor
}

function toWeight({ startDate, value, unit }: Attributes): Weight | Unusable {
  const [at, kg] = [instantOf(startDate), scaled(kgIn, value, unit)]
  return at === undefined || !kg
    ? unusable('a weight without time, value or unit')
    : { kind: 'weight', at, kg, note: '' }
}

/** Newer exports tell the distance in an element within the workout. */
function toActivity(workout: Attributes, distance: Attributes = {}): Activity | Unusable {
  const [at, end] = [instantOf(workout.startDate), instantOf(workout.endDate)]
  if (at === undefined) return unusable('a workout without time')
  const sport = sportOf(workout.workoutActivityType ?? '')
  return {
    kind: 'activity',
    ...{ at, sport, name: '' },
    metres:
      scaled(metresIn, workout.totalDistance, workout.totalDistanceUnit) ??
      scaled(metresIn, distance.sum, distance.unit),
    moving: scaled(secondsIn, workout.duration, workout.durationUnit),
    elapsed: end === undefined ? undefined : end - at,
    kcal:
      workout.totalEnergyBurnedUnit === 'kcal' || workout.totalEnergyBurnedUnit === 'Cal'
        ? readNumber(workout.totalEnergyBurned)
        : undefined,
  }
}
