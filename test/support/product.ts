import { fileURLToPath } from 'node:url'
import type { DockerHostOptions } from '../../controller/docker/host.ts'
import { productOf } from '../../controller/product.ts'
import { openFolder } from '../../controller/source/folder.ts'

/** The product as its sources stand on disk, committed or not. */
export async function productOfCheckout(): Promise<DockerHostOptions['product']> {
  return productOf(await openFolder(fileURLToPath(new URL('../..', import.meta.url))), AbortSignal.timeout(60_000))
}
