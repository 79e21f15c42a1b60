import type { Page } from 'playwright-core'
import { z } from 'zod'
import type { Drawing } from '../kit/drawing.ts'
import { ToolFailure } from '../kit/tool.ts'

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

/** `type` is mermaid's id of the diagram's kind. */
export interface Diagram extends Drawing {
  readonly type: string
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
export async function draw(page: Page, request: DrawingRequest): Promise<Diagram> {
  await page.setViewportSize(paper)
  const answer = drawn.parse(await page.evaluate((input) => Reflect.get(globalThis, 'drawDiagram')(input), request))
  if ('problem' in answer) throw rejected(answer)
  return answer
}

function rejected({ problem, line }: z.infer<typeof refusal>): ToolFailure {
  const place = line === undefined || /line \d/.test(problem) ? '' : `line ${line}: `
  const typeless = /^No diagram type detected/.test(problem)
  const hint = typeless
    ? '\nThe first line names the type, such as "flowchart LR"; list_diagram_types has them all.'
    : ''
  return new ToolFailure(place + problem + hint)
}
