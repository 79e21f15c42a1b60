import type { Page } from 'playwright-core'
import { z } from 'zod'
import type { Drawing } from '../kit/drawing.ts'
import { ToolFailure } from '../kit/tool.ts'
import type { Described } from './catalogue.ts'
import { type Options, options } from './options.ts'

/** What an infographic that takes the width it is given finds. */
const paper = { width: 1280, height: 800 }

/** `texts` are those of the data; `width` is in CSS pixels. */
export interface DrawingRequest {
  readonly options: Options
  readonly texts: readonly string[]
  readonly font: string
  readonly width?: number | undefined
}

/** `hidden` are those of the request's texts that the drawing does not show. */
export interface Infographic extends Drawing {
  readonly hidden: readonly string[]
}

/** What the parser found; `line` counts from 1. */
export interface Parsed {
  readonly options: Options
  readonly errors: readonly Finding[]
  readonly warnings: readonly Finding[]
}

const finding = z.object({ line: z.number(), path: z.string(), message: z.string(), raw: z.string().optional() })
type Finding = z.infer<typeof finding>
const parsed = z.object({ options, errors: z.array(finding), warnings: z.array(finding) })
const described = z.array(z.object({ name: z.string(), structure: z.string(), shows: z.array(z.string()) }))
const drawn = z.union([
  z.object({ problem: z.string() }),
  z.object({ width: z.number(), height: z.number(), hidden: z.array(z.string()), svg: z.string() }),
])

export async function describeTemplates(page: Page): Promise<readonly Described[]> {
  return described.parse(await page.evaluate(() => Reflect.get(globalThis, 'describeTemplates')()))
}

export async function parseSyntax(page: Page, syntax: string): Promise<Parsed> {
  return parsed.parse(await page.evaluate((text) => Reflect.get(globalThis, 'parseInfographic')(text), syntax))
}

/** Draws on the page, from its top left corner. @throws ToolFailure with the library's words. */
export async function draw(page: Page, request: DrawingRequest): Promise<Infographic> {
  await page.setViewportSize(paper)
  const answer = drawn.parse(await page.evaluate((given) => Reflect.get(globalThis, 'drawInfographic')(given), request))
  if ('problem' in answer) throw new ToolFailure(`it cannot be drawn: ${answer.problem}`)
  return answer
}
