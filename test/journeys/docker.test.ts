import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { suite } from '../support/machine.ts'
import { journey } from './journey.ts'

suite('the main job on the Docker engine', ['docker', 'product', 'mermaid', 'tools'], () => {
  journey('docker', ({ instance }) => async () => {
    const containers = await openEngine().containers(labelsOf({ instance }), AbortSignal.timeout(30_000))
    return containers
      .filter(({ State }) => State.Status === 'running')
      .map(({ Id, Config: { Labels } }) => `${mark(Labels, 'server') ?? mark(Labels, 'role')} ${Id}`)
      .sort()
  })
})
