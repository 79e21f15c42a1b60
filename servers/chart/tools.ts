import { z } from 'zod'
import { type Answer, addTool, image, type McpServer, ToolFailure, text } from '../kit/tool.ts'
import {
  type ChartKind,
  type ChartType,
  chartKinds,
  chartTypes,
  districtMapTool,
  districtMapWords,
} from './catalogue.ts'
import { pictureUrl } from './picture-url.ts'
import { slim } from './slim.ts'
import type { Studio } from './studio.ts'

/** Registers a tool for each type of chart, or one for all, as the settings say. */
export function addChartTools(server: McpServer, studio: Studio): void {
  const { CHART_TOOLS: wanted, DISABLED_TOOLS: unwanted } = studio.settings
  const isOn = (tool: string) =>
    (wanted === 'all' || (wanted !== 'generic' && wanted.includes(tool))) && !unwanted.includes(tool)
  if (wanted === 'generic') addGeneric(server, studio)
  for (const kind of chartKinds) if (isOn(kind.tool)) addKind(server, studio, kind)
  if (isOn(districtMapTool)) addDistrictMap(server)
}

function addKind(
  server: McpServer,
  studio: Studio,
  { type, tool, description, input }: ChartKind & { type: ChartType },
): void {
  const title = type.replaceAll('-', ' ')
  // Read again by the studio, which a POST goes through as well.
  addTool(
    server,
    { name: tool, title, description, input: slim(input) },
    async (given, signal) => await draw(studio, { type, given }, signal),
  )
}

function addGeneric(server: McpServer, studio: Studio): void {
  const { DISABLED_TOOLS: unwanted } = studio.settings
  const off = chartKinds.filter(({ tool }) => unwanted.includes(tool)).map(({ type }) => type)
  const types = chartTypes.filter((type) => !off.includes(type))
  const tool = {
    name: 'generate_chart',
    title: 'chart',
    description: `Draws a chart. Most take data: a list of {category, value} (bar, column, pie, funnel …), {time, value} (line, area), {name, value} (radar, treemap) or {x, y} (scatter), with group for several series; graphs take {nodes: [{name}], edges: [{source, target, name}]}, trees {name, children}. Wrong data is answered with what is expected.`,
    input: slim(
      z.looseObject({
        type: z.enum(types),
        data: z.unknown(),
        title: z.string().optional(),
        width: z.coerce.number().optional(),
        height: z.coerce.number().optional(),
      }),
    ),
  }
  addTool(server, tool, async ({ type, ...given }, signal) => {
    const known = types.find((one) => one === type)
    if (known === undefined) throw new ToolFailure(`type: give one of ${types.join(', ')}`)
    return await draw(studio, { type: known, given }, signal)
  })
}

function addDistrictMap(server: McpServer): void {
  const tool = {
    name: districtMapTool,
    title: 'district map',
    description: 'Not available: needs AntV’s remote map service. Says what to draw instead.',
    input: slim(z.looseObject({})),
  }
  addTool(server, tool, () => {
    throw new ToolFailure(districtMapWords)
  })
}

interface Wanted {
  readonly type: ChartType
  readonly given: Readonly<Record<string, unknown>>
}

async function draw(studio: Studio, { type, given }: Wanted, signal: AbortSignal): Promise<Answer> {
  const { png, words } = await studio.draw(type, given, signal)
  const base = studio.settings.CHART_PUBLIC_URL
  const told = base === undefined ? words : `${words}\n${pictureUrl(base, studio.pictures.add(png))}`
  return [image(png, 'image/png'), text(told)]
}
