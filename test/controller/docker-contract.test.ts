import { openDockerFixture } from '../support/docker-fixture.ts'
import { suite } from '../support/machine.ts'
import { hostContract } from './host-contract.ts'

suite('the Docker host', ['docker'], () => {
  hostContract('as every host', openDockerFixture)
})
