import { openProcessFixture } from '../support/process-fixture.ts'
import { hostContract } from './host-contract.ts'

hostContract('process host', openProcessFixture)
