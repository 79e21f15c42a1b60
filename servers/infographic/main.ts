import { run } from '../kit/run.ts'
import { serve } from '../kit/serve.ts'
import { openStudio } from './studio.ts'
import { addInfographicTools } from './tools.ts'

const info = {
  name: 'infographic',
  version: '0.1.0',
  instructions:
    'Draws infographics from templates. list_templates finds one, get_template shows an example of it, render_infographic draws. An error says what to mend; mend it and call again.',
}

await run(async () => {
  const studio = openStudio(process.env)
  return await serve(info, (server) => addInfographicTools(server, studio), {
    ready: studio.pool.ready,
    stop: studio.pool.close,
  })
})
