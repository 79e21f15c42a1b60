import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { openEngine } from '../../controller/docker/docker.ts'
import { buildImage } from './image.ts'
import { portOf } from './port.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dockerfiles = { product: 'Dockerfile', mermaid: 'servers/mermaid/Dockerfile' } as const

/** An image that several suites build, and whose layers take a minute. */
export type Layered = keyof typeof dockerfiles

declare module 'vitest' {
  interface ProvidedContext {
    /** Where a suite asks for the layers of an image, by its name. */
    layers: string
  }
}

/**
 * vitest's global set-up: an engine forgets layers with the last image that has them, and each suite removes its own. So
 * one of each is kept for as long as vitest runs, built once, when a suite first asks.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = `test-layers-${randomBytes(3).toString('hex')}`
  const kept = new Map<string, Promise<string>>()
  const keep = (name: string, dockerfile: string) => {
    const image = kept.get(name) ?? buildImage(root, { tag: `${run}/${name}`, dockerfile })
    kept.set(name, image)
    return image
  }
  const server = createServer(({ url = '' }, response) => {
    const [, dockerfile = ''] = Object.entries(dockerfiles).find(([name]) => url === `/${name}`) ?? []
    keep(url.slice(1), dockerfile).then(
      () => response.end(),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  project.provide('layers', `http://127.0.0.1:${portOf(server)}`)
  return async () => {
    server.closeAllConnections()
    server.close()
    for (const name of kept.keys()) await openEngine().removeImage(`${run}/${name}`, AbortSignal.timeout(60_000))
  }
}
