import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type ExtendedFeature, type GeoPermissibleObjects, geoArea, geoCentroid } from 'd3-geo'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import type { Place } from '../input/maps.ts'
import { DrawFailure } from './draw-failure.ts'

/** A place on the map; degrees. */
export interface Located {
  readonly name: string
  readonly at: [longitude: number, latitude: number]
}

const read = new Map<string, readonly ExtendedFeature[]>()

/** Outlines of the world's countries from Natural Earth, coarse for the whole world and finer for a part of it. */
export function readCountries(detail: '110m' | '50m'): readonly ExtendedFeature[] {
  const kept = read.get(detail)
  if (kept !== undefined) return kept
  const file = fileURLToPath(import.meta.resolve(`world-atlas/countries-${detail}.json`))
  const topology: Topology<{ countries: GeometryCollection }> = JSON.parse(readFileSync(file, 'utf8'))
  const { features } = feature(topology, topology.objects.countries)
  read.set(detail, features)
  return features
}

/** @throws DrawFailure that says how a place can be given instead. */
export function locate(place: Place): Located {
  if (typeof place !== 'string') return { name: place.name, at: [place.longitude, place.latitude] }
  const [, name = '', latitude, longitude] = /^(.*)@\s*(-?[\d.]+)\s*[,，]\s*(-?[\d.]+)\s*$/.exec(place) ?? []
  if (latitude !== undefined) return { name: name.trim(), at: onEarth(place, Number(longitude), Number(latitude)) }
  const at = known().get(keyOf(place))
  if (at !== undefined) return { name: place, at }
  throw new DrawFailure(
    `data: no place "${place}" is known here (countries and large cities are); give "${place}@latitude,longitude", or name, longitude and latitude`,
  )
}

function onEarth(place: string, longitude: number, latitude: number): [number, number] {
  if (Math.abs(longitude) <= 180 && Math.abs(latitude) <= 90) return [longitude, latitude]
  throw new DrawFailure(`data: "${place}" is not on the earth; latitude comes first, -90 to 90, then longitude`)
}

/** Without case, accents and the words that follow a city's name. */
function keyOf(name: string): string {
  return name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/市$|[^\p{L}\p{N}]/gu, '')
}

let places: ReadonlyMap<string, [number, number]> | undefined

function known(): ReadonlyMap<string, [number, number]> {
  places ??= new Map([...countries(), ...cities()])
  return places
}

function countries(): readonly (readonly [string, [number, number]])[] {
  return readCountries('110m').map(({ properties, geometry }) => [keyOf(String(properties?.name)), middle(geometry)])
}

/** The middle of the largest part: that of France is not in the Atlantic. */
function middle(geometry: ExtendedFeature['geometry']): [number, number] {
  if (geometry?.type !== 'MultiPolygon') return geoCentroid(geometry ?? { type: 'Sphere' })
  const parts = geometry.coordinates.map((coordinates): GeoPermissibleObjects => ({ type: 'Polygon', coordinates }))
  const [largest] = parts.toSorted((a, b) => geoArea(b) - geoArea(a))
  return geoCentroid(largest ?? geometry)
}

function cities(): readonly (readonly [string, [number, number]])[] {
  const [, ...lines] = readFileSync(new URL('../data/cities.csv', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  return lines.flatMap((line) => {
    const [name = '', chinese = '', latitude, longitude] = line.split(',')
    const at: [number, number] = [Number(longitude), Number(latitude)]
    return [name, chinese].map((one) => [keyOf(one), at] as const)
  })
}
