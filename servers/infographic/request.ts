import { ToolFailure } from '../kit/tool.ts'
import { nearestNames, type Template } from './catalogue.ts'
import { readContent } from './content.ts'
import type { DrawingRequest, Parsed } from './drawing.ts'
import type { Icons } from './icons.ts'
import type { RenderInput } from './infographic-input.ts'
import type { Options } from './options.ts'
import { needsChildren, shapeNeeds } from './shape.ts'

const themes = ['light', 'dark', 'hand-drawn', 'default']

/** What is known before anything is asked for. */
export interface Known {
  readonly templates: readonly Template[]
  readonly icons: Icons
  /** CSS font families. */
  readonly font: string
}

/** `warnings` tell what will be missing from the drawing. */
export interface Prepared {
  readonly request: Omit<DrawingRequest, 'width'>
  readonly warnings: readonly string[]
}

/** The parser's options. @throws ToolFailure with a line for each error. */
export function readParsed({ options, errors }: Parsed): Options {
  if (errors.length === 0) return options
  throw new ToolFailure(errors.map(({ line, path, message, raw }) => sayError(line, message, raw ?? path)).join('\n'))
}

function sayError(line: number, message: string, found: string): string {
  return `line ${line}: ${message.replace(/\.$/, '')}: ${found.slice(0, 100)}`
}

/** What will be drawn. @throws ToolFailure that says what is missing or wrong. */
export function prepare(given: Options, look: Pick<RenderInput, 'theme' | 'palette'>, known: Known): Prepared {
  const template = findTemplate(given.template, known.templates)
  const theme = look.theme ?? given.theme
  if (theme !== undefined && !themes.includes(theme))
    throw new ToolFailure(`there is no theme "${theme}"; there are ${themes.join(', ')}`)
  const { data, items, texts, lost } = readContent(given.data ?? {}, template.family, known.icons)
  const needs = `${template.name} needs ${shapeNeeds[template.shape]}; get_template shows an example`
  if (items.length === 0) throw new ToolFailure(`there are no items: ${needs}`)
  if (needsChildren(template.shape) && items.every(({ children = [] }) => children.length === 0))
    throw new ToolFailure(`no item has children: ${needs}`)
  if (template.shape === 'values' && items.every(({ value }) => value === undefined))
    throw new ToolFailure(`no item has a value: ${needs}`)
  const palette = look.palette === undefined ? {} : { palette: look.palette }
  const options = { ...given, template: template.name, theme, data, themeConfig: { ...given.themeConfig, ...palette } }
  const warnings = lost.map((name) => `no icon "${name}": give a name of Material Design Icons; nothing is fetched`)
  return { request: { options, texts, font: known.font }, warnings }
}

/** The template of that name. @throws ToolFailure with the names that are most like it. */
export function findTemplate(name: string | undefined, templates: readonly Template[]): Template {
  if (name === undefined) throw new ToolFailure('there is no template: begin with the line "infographic NAME"')
  const wanted = name.trim().toLowerCase()
  const template = templates.find((one) => one.name === wanted)
  if (template !== undefined) return template
  throw new ToolFailure(`no template "${name}"; the nearest are ${nearestNames(wanted, templates).join(', ')}`)
}
