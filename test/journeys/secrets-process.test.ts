import { readFileSync } from 'node:fs'
import { describe } from 'vitest'
import { gets } from '../support/secret-scene.ts'
import { unitsOf } from '../support/units.ts'
import { secretsJourney } from './secrets.ts'

describe('on the process host', () => {
  secretsJourney('process', {
    base: 'scratch',
    given: 'files',
    units: async ({ state }) => unitsOf(state),
    places: async ({ gateway, all }) =>
      unitsOf(gateway.state).map((unit) => {
        const [name = '', pid = ''] = unit.split(' ')
        const listed = Object.values(gets[name] ?? {})
        const own = Object.entries(all).filter(([secret]) => listed.includes(secret.split(' ')[0] ?? ''))
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
        return { where: unit, content: own.reduce((text, [, value]) => text.replaceAll(value, ''), environment) }
      }),
  })
})
