import { suite } from '../support/machine.ts'
import { unitsOf } from '../support/units.ts'
import { journey } from './journey.ts'

suite('the main job on the process host', ['chromium', 'tools'], () => {
  journey('process', (gateway) => async () => unitsOf(gateway.state))
})
