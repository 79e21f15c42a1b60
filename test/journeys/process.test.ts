import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from '../support/machine.ts'
import { journey } from './journey.ts'

suite('the main job on the process host', ['chromium'], () => {
  journey('process', (gateway) => async () => {
    const folder = join(gateway.state, 'units')
    const names = (await readdir(folder)).filter((name) => existsSync(join(folder, name, 'unit.json')))
    const records = await Promise.all(names.map((name) => readFile(join(folder, name, 'unit.json'), 'utf8')))
    return records
      .map((text) => JSON.parse(text))
      .filter(({ life }) => existsSync(`/proc/${life.pid}`))
      .map(({ is, life }) => `${is.server ?? is.role} ${life.pid}`)
      .sort()
  })
})
