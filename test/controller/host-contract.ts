import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { clear } from '../support/stage.ts'
import { buildingContract } from './host-contract/building.ts'
import { dataContract } from './host-contract/data.ts'
import { downContract } from './host-contract/down.ts'
import { endingContract } from './host-contract/ending.ts'
import { entranceContract } from './host-contract/entrance.ts'
import { lookingContract } from './host-contract/looking.ts'
import { runningContract } from './host-contract/running.ts'
import { type Fixture, makeReady, standOn } from './host-contract/stand.ts'

/** The behaviours that every host must show. `open` is called for a new instance each time. */
export function hostContract(name: string, open: () => Promise<Fixture>): void {
  describe(name, { timeout: 60_000 }, () => {
    let fixture: Fixture
    const stand = standOn(() => fixture, open)

    beforeAll(async () => {
      fixture = await open()
      await makeReady(fixture.host)
    })
    afterAll(() => fixture?.close())
    afterEach(() => clear(fixture.host))

    lookingContract(stand)
    buildingContract(stand)
    runningContract(stand)
    endingContract(stand)
    dataContract(stand)
    entranceContract(stand)
    downContract(stand)
  })
}
