import { z } from 'zod'
import { ToolFailure } from '../kit/tool.ts'
import { type ChartType, inputs } from './catalogue.ts'
import { openPictures, type Pictures } from './pictures.ts'
import type { ChartSettings } from './settings.ts'
import { openWorkshop, type Workshop } from './workshop.ts'

/** Draws charts and keeps their pictures. */
export interface Studio {
  readonly settings: ChartSettings
  readonly workshop: Workshop
  readonly pictures: Pictures
  /** @throws ToolFailure for what cannot be drawn. */
  draw(type: ChartType, given: unknown, signal: AbortSignal): Promise<Drawing>
}

export interface Drawing {
  readonly png: Buffer
  /** What it is, and how large, in one line. */
  readonly words: string
}

export function openStudio(settings: ChartSettings): Studio {
  const workshop = openWorkshop({ workers: settings.RENDER_CONCURRENCY, limit: settings.RENDER_TIMEOUT_MS })
  const draw = async (type: ChartType, given: unknown, signal: AbortSignal): Promise<Drawing> => {
    const input = read(type, given)
    const points = countPoints(input)
    if (points > settings.CHART_MAX_POINTS)
      throw new ToolFailure(
        `the data has ${points} points, more than ${settings.CHART_MAX_POINTS}; sum it up or leave some out`,
      )
    const png = await workshop.paint({ type, input }, signal)
    const { width, height } = input
    return {
      png,
      words: `${type}, ${points} ${points === 1 ? 'point' : 'points'}, ${width}×${height}, png ${sizeOf(png)}`,
    }
  }
  return { settings, workshop, pictures: openPictures(), draw }
}

function read(type: ChartType, given: unknown): Readonly<Record<string, unknown>> {
  const schema: z.ZodType<Readonly<Record<string, unknown>>> = inputs[type]
  const { data, error } = schema.safeParse(given)
  if (data !== undefined) return data
  throw new ToolFailure(
    (error?.issues ?? [])
      .slice(0, 5)
      .map(({ path, message }) => `${z.core.toDotPath(path)}: ${message}`)
      .join('; '),
  )
}

/** How many things are drawn: the members of the lists in the data, and of the lists in those. */
function countPoints({ data, series, percent }: Readonly<Record<string, unknown>>): number {
  return percent === undefined ? count(data) + count(series) : 1
}

function count(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + Math.max(1, count(item)), 0)
  if (!(value instanceof Object)) return 0
  const below = Object.entries(value).filter(([key]) => key !== 'sets')
  const inside = below.reduce((sum, [, item]) => sum + count(item), 0)
  return 'name' in value && 'children' in value ? inside + 1 : inside
}

/** Pixels, from the picture's header: https://www.w3.org/TR/png-3/#11IHDR */
function sizeOf(png: Buffer): string {
  return `${png.readUInt32BE(16)}×${png.readUInt32BE(20)}`
}
