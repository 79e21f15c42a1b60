import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from '../support/machine.ts'
import { journey } from './journey.ts'

suite('the main job on the process host', ['chromium'], () => {
  journey('process', (gateway) => async () => {
    const records = join(gateway.state, 'units')
    const texts = await Promise.all((await readdir(records)).map((file) => readFile(join(records, file), 'utf8')))
    return texts.sort()
  })
})
