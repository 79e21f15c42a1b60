import type { Page } from 'playwright-core'
import { ToolFailure } from './tool.ts'

const maxSide = 8_000
const maxPixels = 16e6
const maxPngBytes = 3_750_000
const maxSvgBytes = 2_000_000

/** In CSS pixels, or in pixels of a picture. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What a page has drawn; its size is in CSS pixels, before any scale. */
export interface Drawing extends Size {
  readonly svg: string
}

export interface Picture {
  readonly png: Buffer
  readonly size: Size
  /** At most the scale that was asked for; less where that would be too large a picture. */
  readonly scale: number
}

/** The SVG of a drawing. @throws ToolFailure where it is too long to be an answer. */
export function asSvg({ svg }: Drawing): string {
  const bytes = Buffer.byteLength(svg)
  if (bytes <= maxSvgBytes) return svg
  throw new ToolFailure(
    `the SVG has ${(bytes / 1e6).toFixed(1)} MB, more than the 2 MB of an answer; ask for format png`,
  )
}

/**
 * A picture of the SVG in the page's top left corner, at most 8,000 pixels a side, 16 megapixels and 5 MB as base64. The
 * page's scripts have imported `page/svg.js`.
 */
export async function photograph(
  page: Page,
  drawing: Size,
  look: { readonly scale: number; readonly background: string },
): Promise<Picture> {
  const omitBackground = look.background === 'transparent'
  for (let scale = fittingScale(drawing, look.scale); ; scale /= 1.5) {
    const size = scaled(drawing, scale)
    await page.evaluate((pixels) => Reflect.get(globalThis, 'resizeDrawing')(pixels), size)
    await page.setViewportSize(size)
    const png = await page.screenshot({ omitBackground, clip: { x: 0, y: 0, ...size } })
    if (png.length <= maxPngBytes) return { png, size, scale }
  }
}

function fittingScale({ width, height }: Size, wanted: number): number {
  return Math.min(wanted, maxSide / width, maxSide / height, Math.sqrt(maxPixels / (width * height)))
}

function scaled({ width, height }: Size, scale: number): Size {
  // A whole number that was divided and multiplied again is still that number.
  const whole = (length: number) => Math.max(1, Math.floor(length * scale + 1e-6))
  return { width: whole(width), height: whole(height) }
}
