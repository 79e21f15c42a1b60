import { run } from '../kit/run.ts'
import { serve } from '../kit/serve.ts'
import { openStudio } from './studio.ts'
import { addDiagramTools } from './tools.ts'

const info = {
  name: 'mermaid',
  version: '0.1.0',
  instructions:
    'Draws Mermaid diagrams. Unsure of the syntax: list_diagram_types with a type gives an example. An error names the line; mend the code and call again.',
}

await run(async () => {
  const studio = openStudio(process.env)
  return await serve(info, (server) => addDiagramTools(server, studio), {
    ready: studio.pool.ready,
    stop: studio.pool.close,
  })
})
