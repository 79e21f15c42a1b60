import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { readConfig } from '../../controller/config/config.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import type { DockerHostOptions } from '../../controller/docker/host.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import { openConfiguredHost } from '../../controller/open-host.ts'
import { productOf } from '../../controller/product.ts'
import { openFolder } from '../../controller/source/folder.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The product as its sources stand on disk, committed or not. */
export async function productOfCheckout(): Promise<DockerHostOptions['product']> {
  return productOf(await openFolder(root), AbortSignal.timeout(60_000))
}

/** Has the machine's engine build edge's and the proxy's image of an instance, for an engine that reaches no registry; gives its name. */
export async function buildProduct(instance: string): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), 'gateway-product-'))
  try {
    const env = { ...process.env, GATEWAY_REPO: root, GATEWAY_STATE: state, GATEWAY_INSTANCE: instance }
    const limit = AbortSignal.timeout(540_000)
    await using host = await openConfiguredHost(
      readConfig(env),
      { folder: root, log: pino({ level: 'silent' }) },
      limit,
    )
    await host.prepare(() => {}, limit)
    const [image] = await openEngine().images(labelsOf({ instance }), limit)
    return image?.RepoTags?.[0] ?? ''
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}
