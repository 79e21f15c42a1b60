import { type GeoProjection, geoGraticule10, geoMercator, geoNaturalEarth1, geoPath } from 'd3-geo'
import type { z } from 'zod'
import type { pathMap, pinMap } from '../input/maps.ts'
import { type Located, locate, readCountries } from './atlas.ts'
import { createSheet, shorten, widthOf } from './canvas.ts'
import { colourAt, coloursOf } from './look.ts'

type Context = ReturnType<ReturnType<typeof createSheet>['getContext']>

const sea = '#e8f1f8'
const land = '#fbfaf5'
const border = '#b9c3cc'
const ink = '#2b2f36'
const colours = coloursOf({ theme: 'default' })

interface Sheet {
  readonly title: string
  readonly width: number
  readonly height: number
}

export function drawPinMap(chart: z.output<typeof pinMap>, ratio: number): Buffer {
  const places = chart.data.map(locate)
  return drawMap(chart, { ratio, places }, (context, project) => paintPins(context, places.map(project), places))
}

export function drawPathMap(chart: z.output<typeof pathMap>, ratio: number): Buffer {
  const routes = chart.data.map(({ data }) => data.map(locate))
  const places = [...new Map(routes.flat().map((place) => [`${place.at}`, place])).values()]
  return drawMap(chart, { ratio, places }, (context, project, trace) => {
    for (const [index, route] of routes.entries()) {
      context.strokeStyle = colourAt(colours, index)
      context.lineWidth = 3
      context.beginPath()
      trace({ type: 'LineString', coordinates: route.map(({ at }) => at) })
      context.stroke()
    }
    paintPins(context, places.map(project), places)
  })
}

type Point = readonly [x: number, y: number]
type Trace = (shape: { type: 'LineString'; coordinates: [number, number][] }) => void
type Paint = (context: Context, project: (place: Located) => Point, trace: Trace) => void

interface Extent {
  readonly ratio: number
  readonly places: readonly Located[]
}

function drawMap(sheet: Sheet, { ratio, places }: Extent, paint: Paint): Buffer {
  const { width, height } = sheet
  const canvas = createSheet(width * ratio, height * ratio)
  const context = canvas.getContext('2d')
  context.scale(ratio, ratio)
  context.fillStyle = sea
  context.fillRect(0, 0, width, height)
  const { projection, detail } = projected(sheet, places)
  const trace = geoPath(projection, canvasFor(context))
  context.lineWidth = 0.5
  context.strokeStyle = '#d3e0ea'
  context.beginPath()
  trace(geoGraticule10())
  context.stroke()
  context.fillStyle = land
  context.strokeStyle = border
  context.lineWidth = 0.8
  for (const country of readCountries(detail)) {
    context.beginPath()
    trace(country)
    context.fill()
    context.stroke()
  }
  paint(context, ({ at }) => projection(at) ?? [-100, -100], trace)
  paintTitle(context, sheet)
  return canvas.toBuffer('image/png')
}

/** d3-geo draws with six methods of a canvas's context, which this one has. */
function canvasFor(context: Context) {
  return context
}

/** The whole world turned to the places, or the part of it that they are in. */
function projected(
  { width, height }: Sheet,
  places: readonly Located[],
): { projection: GeoProjection; detail: '110m' | '50m' } {
  const middle = centre(places.map(({ at }) => at[0]))
  const near = places.map(({ at: [longitude] }) => ((longitude - middle + 540) % 360) - 180)
  const high = places.map(({ at }) => at[1])
  const spread = Math.max(...near) - Math.min(...near)
  const margin = Math.min(90, width / 6, height / 6)
  const room: [[number, number], [number, number]] = [
    [margin, margin + 30],
    [width - margin, height - margin],
  ]
  if (spread > 150 || Math.max(...high.map(Math.abs)) > 80) {
    const world = geoNaturalEarth1().rotate([-middle, 0])
    return { projection: world.fitSize([width, height], { type: 'Sphere' }), detail: '110m' }
  }
  const least = 3
  const [west, east] = widened(Math.min(...near), Math.max(...near), least)
  const [south, north] = widened(Math.min(...high), Math.max(...high), least)
  const coordinates: [number, number][] = [
    [west, south],
    [east, north],
    [west, north],
    [east, south],
  ].map(([x = 0, y = 0]) => [x + middle, Math.max(-84, Math.min(84, y))])
  const part = geoMercator().rotate([-middle, 0]).fitExtent(room, { type: 'MultiPoint', coordinates })
  return { projection: part, detail: spread > 70 ? '110m' : '50m' }
}

function widened(low: number, high: number, least: number): readonly [number, number] {
  const more = Math.max(0, least - (high - low)) / 2
  return [low - more, high + more]
}

/** The longitude opposite to the widest gap between places, so that the edge of the map is where nobody is. */
function centre(longitudes: readonly number[]): number {
  const sorted = longitudes.toSorted((a, b) => a - b)
  const gaps = sorted.map((longitude, index) => {
    const next = sorted[index + 1] ?? (sorted[0] ?? 0) + 360
    return { gap: next - longitude, next }
  })
  const widest = gaps.reduce((best, one) => (one.gap > best.gap ? one : best), { gap: -1, next: 0 })
  const middle = widest.next + (360 - widest.gap) / 2
  return ((middle + 540) % 360) - 180
}

function paintPins(context: Context, points: readonly Point[], places: readonly Located[]): void {
  for (const [index, [x, y]] of points.entries()) {
    context.beginPath()
    context.arc(x, y, 6, 0, 2 * Math.PI)
    context.fillStyle = places.length > 1 && places.length <= 10 ? colourAt(colours, index) : colourAt(colours, 0)
    context.fill()
    context.strokeStyle = '#ffffff'
    context.lineWidth = 2
    context.stroke()
  }
  paintNames(context, points, places)
}

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
}

const nameSize = 14

/** Each name beside its pin, on a side where none is yet; to the right where all sides are taken. */
function paintNames(context: Context, points: readonly Point[], places: readonly Located[]): void {
  const taken: Box[] = points.map(([x, y]) => ({ x: x - 7, y, width: 14 }))
  context.font = `bold ${nameSize}px sans-serif`
  context.textBaseline = 'middle'
  context.lineJoin = 'round'
  for (const [index, { name }] of places.entries()) {
    const [x, y] = points[index] ?? [0, 0]
    const text = shorten(name, { size: nameSize, width: 200 })
    const width = widthOf(text, nameSize) + 8
    const sides: readonly Box[] = [
      { x: x + 10, y, width },
      { x: x - 10 - width, y, width },
      { x: x - width / 2, y: y - 18, width },
      { x: x - width / 2, y: y + 18, width },
    ]
    const box = sides.find((side) => !taken.some((other) => overlap(side, other))) ?? sides[0]
    if (box === undefined) continue
    taken.push(box)
    context.strokeStyle = 'rgba(255, 255, 255, 0.9)'
    context.lineWidth = 4
    context.strokeText(text, box.x, box.y)
    context.fillStyle = ink
    context.fillText(text, box.x, box.y)
  }
}

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && Math.abs(a.y - b.y) < nameSize + 3
}

function paintTitle(context: Context, { title, width }: Sheet): void {
  context.font = 'bold 20px sans-serif'
  context.textBaseline = 'middle'
  context.strokeStyle = 'rgba(255, 255, 255, 0.9)'
  context.lineWidth = 5
  const text = shorten(title, { size: 20, width: width - 60 })
  context.strokeText(text, 20, 28)
  context.fillStyle = ink
  context.fillText(text, 20, 28)
}
