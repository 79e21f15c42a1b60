import type { RenderPool } from '../kit/render-pool.ts'
import { type Answer, addTool, image, type McpServer, ToolFailure, text } from '../kit/tool.ts'
import type { Template } from './catalogue.ts'
import { parseSyntax } from './drawing.ts'
import { exampleOf } from './example.ts'
import { getInput, listInput, type RenderInput, renderInput, validateInput } from './infographic-input.ts'
import { produce } from './produce.ts'
import { findTemplate, type Known, prepare, readParsed } from './request.ts'
import { shapeNeeds } from './shape.ts'

export interface Studio {
  readonly pool: RenderPool
  /** Resolves once a page has told which templates there are. */
  known(signal: AbortSignal): Promise<Known>
}

/** Registers the four tools. */
export function addInfographicTools(server: McpServer, studio: Studio): void {
  addList(server, studio)
  addGet(server, studio)
  addRender(server, studio)
  addValidate(server, studio)
}

function addList(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'list_templates',
    title: 'List templates',
    description: 'The templates of infographics: name, what the data needs, which fields of an item are shown.',
    input: listInput,
  }
  addTool(server, tool, async ({ category, query = '', limit }, signal) => {
    const { templates } = await studio.known(signal)
    const words = query.toLowerCase().split(/\s+/)
    const found = templates
      .filter(({ family }) => category === undefined || family === category)
      .map(lineOf)
      .filter((line) => words.every((word) => line.toLowerCase().includes(word)))
    const more = found.length > limit ? [`… and ${found.length - limit} more: narrow it with category or query`] : []
    if (found.length === 0) throw new ToolFailure('no template is like that; leave out category or query')
    return [...found.slice(0, limit), ...more].join('\n')
  })
}

function addGet(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'get_template',
    title: 'Show a template',
    description: 'What a template needs, and an example in the syntax that render_infographic takes as it stands.',
    input: getInput,
  }
  addTool(server, tool, async ({ name }, signal) => {
    const template = findTemplate(name, (await studio.known(signal)).templates)
    return [text(exampleOf(template)), text(lineOf(template))]
  })
}

function addRender(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'render_infographic',
    title: 'Render an infographic',
    description:
      'Draws an infographic from syntax, or from template and data, and answers with a png picture or svg text, one line with its size, and what of the data it does not show. Boxes do not grow with their text: labels of a few words, descriptions of one line. Icons are names of Material Design Icons, such as rocket-launch; nothing is fetched from anywhere.',
    input: renderInput,
  }
  addTool(server, tool, (input, signal) => render(input, studio, signal))
}

function addValidate(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'validate_infographic',
    title: 'Check an infographic',
    description: 'Says whether the syntax is right and fits its template, else what is wrong and on which line.',
    input: validateInput,
  }
  addTool(server, tool, async ({ syntax }, signal) => {
    const known = await studio.known(signal)
    const parsed = await studio.pool.render((page) => parseSyntax(page, syntax), signal)
    const { request, warnings } = prepare(readParsed(parsed), {}, known)
    return [`valid ${request.options.template}`, ...warnings].join('\n')
  })
}

async function render(input: RenderInput, { pool, known }: Studio, signal: AbortSignal): Promise<Answer> {
  if ((input.syntax === undefined) === (input.template === undefined))
    throw new ToolFailure('give either syntax, or template and data')
  const facts = await known(signal)
  const { png, svg, words } = await pool.render((page) => produce(page, input, facts), signal)
  if (png === undefined) return [text(svg), text(words)]
  return [image(png, 'image/png'), text(words)]
}

function lineOf({ name, shape, shows }: Template): string {
  return `${name}: ${shapeNeeds[shape]}; shows ${shows.join(', ')}`
}
