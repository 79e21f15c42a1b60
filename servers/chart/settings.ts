import { z } from 'zod'
import { wholeNumber } from '../kit/input.ts'
import { renderSettings } from '../kit/render-settings.ts'
import { chartKinds, districtMapTool } from './catalogue.ts'

/** Names of tools, or of types of charts. */
function readNames(text: string, context: z.core.$RefinementCtx<string>): readonly string[] {
  const known = new Map(chartKinds.flatMap(({ type, tool }) => [[type, tool] as const, [tool, tool] as const]))
  known.set('district-map', districtMapTool).set(districtMapTool, districtMapTool)
  const names = text.split(',').map((name) => name.trim())
  const given = names.filter((name) => name !== '')
  const strange = given.filter((name) => !known.has(name))
  if (strange.length > 0)
    context.addIssue(`there is no ${strange.join(', ')}; there are ${[...new Set(known.values())].join(', ')}`)
  return given.flatMap((name) => known.get(name) ?? [])
}

/** What this server reads beside HOST, PORT and LOG_LEVEL. */
export const chartSettings = z.object({
  CHART_TOOLS: z
    .string()
    .default('all')
    .transform((text, context) => (text === 'all' || text === 'generic' ? text : readNames(text, context))),
  DISABLED_TOOLS: z.string().default('').transform(readNames),
  CHART_MAX_POINTS: wholeNumber(1, 50_000).default(5_000),
  CHART_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'give the http or https address at which this server is reached' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  ...renderSettings,
})

export type ChartSettings = z.output<typeof chartSettings>
