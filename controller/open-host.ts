import type { Logger } from 'pino'
import { BuildSpec } from '#manifests/build.ts'
import { readBuildInput } from './compile/build-input.ts'
import type { Config } from './config/config.ts'
import { describeFault } from './desired.ts'
import { type DockerHostOptions, openDockerHost, ownContainer } from './docker/docker.ts'
import type { Host } from './host.ts'
import { openProcessHost } from './process/process.ts'
import { readEntries } from './rollout.ts'
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
  const { address, prefix } = config.subnets
  const { networks, registryAuth } = config
  const options = {
    ...common,
    ...{ subnets: `${address}/${prefix}`, networks },
    ...(registryAuth === undefined ? {} : { registryAuth }),
  }
  return openDockerHost({ ...options, product: await dockerProduct(config, product, signal) }, signal, config.engine)
}

/** What the product's Dockerfile takes; nothing else of a checkout makes another product. */
const paths = ['package.json', 'package-lock.json', 'manifests', 'controller', 'proxy']

/** Edge and proxies run from the image that the controller came in, or from one that is built of its checkout's HEAD. */
async function dockerProduct(
  { inherited, engine }: Config,
  { folder }: Product,
  signal: AbortSignal,
): Promise<DockerHostOptions['product']> {
  const own = await ownContainer(signal, engine)
  if (own !== undefined) return { image: own.image }
  const tree = await openCheckout(folder, 'HEAD', inherited)
  const blame = (_: string, message: string) => ({ file: folder, line: 1, column: 1, at: '', message })
  const question = { spec: BuildSpec.parse({ paths }), context: '', entries: await tree.list(), blame }
  const answer = await readBuildInput(tree, question, signal)
  if (!answer.ok)
    throw new Error(`the gateway's own image cannot be built: ${answer.faults.map(describeFault).join('; ')}`)
  const { input } = answer
  return { input, entries: (reading) => readEntries(tree, input, reading) }
}
