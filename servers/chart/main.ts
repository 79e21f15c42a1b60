import { readEnvironment } from '../kit/environment.ts'
import { run } from '../kit/run.ts'
import { serve } from '../kit/serve.ts'
import { chartSettings } from './settings.ts'
import { openStudio } from './studio.ts'
import { addChartTools } from './tools.ts'
import { createVis } from './vis.ts'

const info = {
  name: 'chart',
  version: '0.1.0',
  instructions:
    'Draws charts, diagrams, tables and maps from data as PNG pictures. Numbers are numbers, not "12 %"; an error says which value is wrong: mend it and call again.',
}

await run(async () => {
  const studio = openStudio(readEnvironment(chartSettings, process.env))
  return await serve(info, (server) => addChartTools(server, studio), {
    ready: studio.workshop.ready,
    aside: createVis(studio),
    stop: studio.workshop.close,
  })
})
