import type { Page } from 'playwright-core'
import { asSvg, photograph } from '../kit/drawing.ts'
import { draw, type Infographic, parseSyntax } from './drawing.ts'
import type { RenderInput } from './infographic-input.ts'
import { type Known, prepare, readParsed } from './request.ts'

const maxWidth = 2_000
const usualScale = 2

/** `png` where that was asked for. `words` are the size, and a line for each thing that is missing. */
export interface Product {
  readonly png?: Buffer
  readonly svg: string
  readonly words: string
}

/** Draws what was asked for on a page. @throws ToolFailure that says what is wrong with it. */
export async function produce(page: Page, input: RenderInput, known: Known): Promise<Product> {
  const { syntax, template, data, format, width } = input
  const given = syntax === undefined ? { template, data } : readParsed(await parseSyntax(page, syntax))
  const { request, warnings } = prepare(given, input, known)
  const drawing = await draw(page, { ...request, width: format === 'svg' ? width : undefined })
  const told = [...warnings, ...hiddenIn(drawing)]
  const say = (size: { readonly width: number; readonly height: number }) =>
    [`${format} ${size.width}×${size.height}`, ...told].join('\n')
  if (format === 'svg') return { svg: asSvg(drawing), words: say(drawing) }
  const scale = Math.min(width ?? drawing.width * usualScale, maxWidth) / drawing.width
  const { png, size } = await photograph(page, drawing, { scale, background: 'white' })
  return { png, svg: drawing.svg, words: say(size) }
}

function hiddenIn({ hidden }: Infographic): readonly string[] {
  if (hidden.length === 0) return []
  const some = hidden.slice(0, 5).map((words) => JSON.stringify(words.length > 40 ? `${words.slice(0, 40)}…` : words))
  const more = hidden.length > some.length ? ` and ${hidden.length - some.length} more` : ''
  return [`not shown by this template: ${some.join(', ')}${more}`]
}
