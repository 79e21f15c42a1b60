import type { Page } from 'playwright-core'
import { z } from 'zod'
import { ToolFailure } from '../kit/tool.ts'

const maxSide = 8_000
const maxPixels = 16e6
const maxPngBytes = 3_750_000
const maxSvgBytes = 2_000_000

/** What a diagram that takes the width it is given finds. */
const paper = { width: 1280, height: 800 }

/** Sizes are CSS pixels, before `scale`. */
export interface DrawingRequest {
  readonly code: string
  readonly maxText: number
  readonly theme: string
  readonly background: string
  readonly width?: number | undefined
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** `type` is mermaid's id of the diagram's kind. */
export interface Drawing extends Size {
  readonly type: string
  readonly svg: string
}

export interface Picture {
  readonly png: Buffer
  readonly size: Size
  /** At most the scale that was asked for; less where that would be too large a picture. */
  readonly scale: number
}

const refusal = z.object({ problem: z.string(), line: z.number().optional() })
const checked = z.union([refusal, z.object({ type: z.string() })])
const drawn = z.union([refusal, z.object({ type: z.string(), width: z.number(), height: z.number(), svg: z.string() })])

/** @returns mermaid's id of the diagram's kind. @throws ToolFailure with the parser's words. */
export async function check(page: Page, request: Pick<DrawingRequest, 'code' | 'maxText'>): Promise<string> {
  const answer = checked.parse(await page.evaluate((input) => Reflect.get(globalThis, 'checkDiagram')(input), request))
  if ('problem' in answer) throw rejected(answer)
  return answer.type
}

/** Draws on the page, from its top left corner. @throws ToolFailure with mermaid's words. */
export async function draw(page: Page, request: DrawingRequest): Promise<Drawing> {
  await page.setViewportSize(paper)
  const answer = drawn.parse(await page.evaluate((input) => Reflect.get(globalThis, 'drawDiagram')(input), request))
  if ('problem' in answer) throw rejected(answer)
  return answer
}

/** The SVG of a drawing. @throws ToolFailure where it is too long to be an answer. */
export function asSvg({ svg }: Drawing): string {
  const bytes = Buffer.byteLength(svg)
  if (bytes <= maxSvgBytes) return svg
  throw new ToolFailure(
    `the SVG has ${(bytes / 1e6).toFixed(1)} MB, more than the 2 MB of an answer; ask for format png`,
  )
}

/** A picture of what `draw` left on the page, at most 8,000 pixels a side, 16 megapixels and 5 MB as base64. */
export async function photograph(
  page: Page,
  drawing: Size,
  look: { scale: number; background: string },
): Promise<Picture> {
  const omitBackground = look.background === 'transparent'
  for (let scale = fittingScale(drawing, look.scale); ; scale /= 1.5) {
    const size = scaled(drawing, scale)
    await page.evaluate((pixels) => Reflect.get(globalThis, 'resizeDiagram')(pixels), size)
    await page.setViewportSize(size)
    const png = await page.screenshot({ omitBackground, clip: { x: 0, y: 0, ...size } })
    if (png.length <= maxPngBytes) return { png, size, scale }
  }
}

function fittingScale({ width, height }: Size, wanted: number): number {
  return Math.min(wanted, maxSide / width, maxSide / height, Math.sqrt(maxPixels / (width * height)))
}

function scaled({ width, height }: Size, scale: number): Size {
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) }
}

function rejected({ problem, line }: z.infer<typeof refusal>): ToolFailure {
  return new ToolFailure(line === undefined || /line \d/.test(problem) ? problem : `line ${line}: ${problem}`)
}
