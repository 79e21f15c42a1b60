import type { Logger } from 'pino'
import type { Config } from './config/config.ts'
import { type DockerHostOptions, openDockerHost, ownContainer } from './docker/docker.ts'
import type { Host } from './host.ts'
import { openProcessHost } from './process/process.ts'
import { productOf } from './product.ts'
import { openCheckout } from './source/checkout.ts'

export interface Product {
  /** Folder of the checkout that this program runs from. */
  readonly folder: string
  readonly log: Logger
}

/** Opens the host that the configuration names. Throws `HostDown` while it does not answer. */
export async function openConfiguredHost(config: Config, product: Product, signal: AbortSignal): Promise<Host> {
  const { instance, state, proxy, logLevel, inherited } = config
  const common = {
    instance,
    state,
    listen: proxy.listen,
    logLevel,
    ...(proxy.url === undefined ? {} : { url: proxy.url }),
  }
  if (config.runtime === 'process') {
    const log = (line: string) => product.log.warn({ line }, 'process host')
    return openProcessHost({ ...common, product: product.folder, environment: inherited, log })
  }
  const { subnets, networks, registryAuth, selfUpdate } = config
  const options = {
    ...common,
    ...{ subnets, networks, selfUpdate },
    ...(registryAuth === undefined ? {} : { registryAuth }),
  }
  return openDockerHost({ ...options, product: await dockerProduct(config, product, signal) }, signal, config.engine)
}

/** Edge and proxies run from the image that the controller came in, or from one that is built of its checkout's HEAD. */
async function dockerProduct(
  { inherited, engine }: Config,
  { folder }: Product,
  signal: AbortSignal,
): Promise<DockerHostOptions['product']> {
  const own = await ownContainer(signal, engine)
  if (own !== undefined) return { image: own.image }
  return productOf(await openCheckout(folder, 'HEAD', inherited), signal)
}
