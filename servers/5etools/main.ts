import { readEnvironment } from '../kit/environment.ts'
import { run } from '../kit/run.ts'
import { serve } from '../kit/serve.ts'
import { settingsSchema } from './environment.ts'
import about from './package.json' with { type: 'json' }
import { openShelf } from './shelf.ts'
import { addChoices } from './tools/choose.ts'
import { addLookup } from './tools/lookup.ts'
import { addRollTable } from './tools/roll.ts'
import { addListSources } from './tools/sources.ts'

const instructions =
  'Rules, spells, monsters and items for tabletop games, in the format of 5etools. ' +
  'Use search to find a name and get_entry to read it; cite the source that it gives.'

await run(async () => {
  const shelf = await openShelf(readEnvironment(settingsSchema))
  const info = { name: '5etools', version: about.version, instructions }
  return await serve(
    info,
    (server) => {
      addLookup(server, shelf)
      addChoices(server, shelf)
      addListSources(server, shelf)
      addRollTable(server, shelf)
    },
    { ready: shelf.ready, stop: shelf.close },
  )
})
