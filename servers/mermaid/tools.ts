import type { z } from 'zod'
import { asSvg, type Picture, photograph } from '../kit/drawing.ts'
import type { RenderPool } from '../kit/render-pool.ts'
import { type Answer, addTool, image, type McpServer, ToolFailure, text } from '../kit/tool.ts'
import { backgroundFor, listInput, renderInput, validateInput } from './diagram-input.ts'
import { type DiagramKind, kindOf } from './diagram-kinds.ts'
import { check, type Diagram, draw } from './drawing.ts'

export interface Studio {
  readonly pool: RenderPool
  readonly kinds: readonly DiagramKind[]
  /** Characters. */
  readonly maxText: number
}

/** Registers the three tools. */
export function addDiagramTools(server: McpServer, studio: Studio): void {
  addRender(server, studio)
  addValidate(server, studio)
  addList(server, studio)
}

function addRender(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'render_diagram',
    title: 'Render a diagram',
    description:
      'Draws Mermaid code and answers with a png picture, or with svg text, and one line that says its type and size. Nothing is fetched from anywhere, so pictures by address and icon packs stay empty. Wrong code is answered with the parser’s words.',
    input: renderInput(studio.maxText),
  }
  addTool(server, tool, (input, signal) => render(input, studio, signal))
}

function addValidate(server: McpServer, { pool, maxText }: Studio): void {
  const tool = {
    name: 'validate_diagram',
    title: 'Check a diagram',
    description: 'Says the type of diagram if the Mermaid code is right, else what the parser found wrong and where.',
    input: validateInput(maxText),
  }
  addTool(server, tool, async ({ code }, signal) => {
    const type = await pool.render((page) => check(page, { code, maxText }), signal)
    return `valid ${kindOf(type)}`
  })
}

function addList(server: McpServer, { kinds }: Studio): void {
  const tool = {
    name: 'list_diagram_types',
    title: 'List the types of diagrams',
    description: 'Every type of Mermaid diagram and what it shows; with `type`, an example of that one to start from.',
    input: listInput,
  }
  addTool(server, tool, ({ type }) => (type === undefined ? listed(kinds) : exampleOf(type, kinds)))
}

type RenderInput = z.infer<ReturnType<typeof renderInput>>

async function render(input: RenderInput, { pool, maxText }: Studio, signal: AbortSignal): Promise<Answer> {
  const { code, theme, width, scale } = input
  const background = backgroundFor(input)
  const request = { code, theme, background, width, maxText }
  if (input.format === 'svg') {
    const drawing = await pool.render((page) => draw(page, request), signal)
    return [text(asSvg(drawing)), text(sizeOf(drawing))]
  }
  const shown = await pool.render(async (page) => {
    const drawing = await draw(page, request)
    return { drawing, picture: await photograph(page, drawing, { scale, background }) }
  }, signal)
  const { drawing, picture } = shown
  return [image(picture.png, 'image/png'), text(`${sizeOf(drawing)}, ${pixelsOf(picture, scale)}`)]
}

function sizeOf({ type, width, height }: Diagram): string {
  return `${kindOf(type)} ${width}×${height}`
}

function pixelsOf({ size, scale }: Picture, wanted: number): string {
  const pixels = `png ${size.width}×${size.height}`
  return scale < wanted ? `${pixels} (scale ${scale.toFixed(2)}: ${wanted} would be too large)` : pixels
}

function listed(kinds: readonly DiagramKind[]): string {
  return kinds.map(({ name, shows }) => `${name}: ${shows}`).join('\n')
}

function exampleOf(type: string, kinds: readonly DiagramKind[]): string {
  const plain = (name: string) => name.toLowerCase().replace(/diagram|chart|-beta|[^a-z0-9]/g, '')
  const kind = kinds.find(({ name }) => plain(name) === plain(type))
  if (kind !== undefined) return kind.example
  throw new ToolFailure(`no type "${type}"; there are ${kinds.map(({ name }) => name).join(', ')}`)
}
