import { openProcessHost } from '../../controller/process/process.ts'
import { buildInputOf } from './build-input.ts'
import { generationOf, requestOf, specOf } from './stage.ts'
import { witness } from './witness.ts'

/**
 * A program: a controller that starts one `witness` and then only stands there, to be killed.
 * Arguments: the state folder, the product's folder, the port of the published address.
 */
const [state = '', product = '', port = ''] = process.argv.slice(2)
const signal = new AbortController().signal
const made = buildInputOf(witness)
const host = await openProcessHost({
  instance: 'test',
  state,
  product,
  environment: process.env,
  listen: { host: '127.0.0.1', port: Number(port) },
})
await host.build(requestOf('witness', made), signal)
await host.start(generationOf(made, { spec: specOf('earlier') }), signal)
console.log('started')
setInterval(() => {}, 60_000)
