import { readEnvironment } from '../kit/environment.ts'
import { addShelf } from '../kit/resource.ts'
import { run } from '../kit/run.ts'
import { readSecret } from '../kit/secret.ts'
import { serve } from '../kit/serve.ts'
import { settingsSchema } from './environment.ts'
import about from './package.json' with { type: 'json' }
import { createShelf } from './shelf.ts'
import { openStudio } from './studio.ts'
import { addImageTools } from './tools.ts'

const instructions =
  'Has Midjourney draw pictures. generate_image answers at once with a task_id; call get_image with it every half minute ' +
  'until the pictures are there. Tasks are paid and few: look at list_images before asking again.'

await run(async () => {
  const studio = openStudio(readEnvironment(settingsSchema), readSecret('MIDJOURNEY_API_KEY'))
  const shelf = createShelf(studio.album)
  return await serve(
    { name: 'midjourney', version: about.version, instructions },
    (server) => {
      addImageTools(server, studio)
      addShelf(server, shelf)
    },
    { ready: studio.service.ready, stop: studio.close },
  )
})
