import type { BuildInput, ImageSource } from '../desired.ts'
import {
  addressOf,
  type BuildRequest,
  type Generation,
  type Host,
  type HostOptions,
  type Keep,
  type Product,
  type Sight,
  type Wanted,
} from '../host.ts'
import { createTurn } from '../turn.ts'
import { settleUpdate } from '../update/settle.ts'
import { grace } from './container.ts'
import { readCredentials } from './credentials.ts'
import { takeDown } from './down.ts'
import { edgeName, edgesOf, ensureEdge, refuseForeign } from './edge.ts'
import type { Engine, EngineContainer } from './engine.ts'
import { changesOf } from './events.ts'
import { buildImage, ensurePulled, productName } from './image.ts'
import { imageTag, labelsOf, mark } from './labels.ts'
import { plainParts, plainText } from './log.ts'
import { stand } from './mend.ts'
import { type Estate, joinForeign } from './network.ts'
import { comesFrom, type OwnContainer, openRun, readOwnContainer, runMount, stateIdentity } from './own.ts'
import { ensureProxy, type ProxyWish, proxySpec } from './proxy.ts'
import { renewController } from './renew.ts'
import { collectImages, freeBytes, takenBytes } from './room.ts'
import { createSeen, type Seen } from './seen.ts'
import { forgetServer, startServer } from './server.ts'
import { sightOf } from './sight.ts'
import { collectWrappers, ensureWrapper } from './stdio.ts'

/** What edge runs from, and proxies where no commit says otherwise: an image that is there, or one to build from a checkout. */
export type OwnProduct =
  | { readonly image: string }
  | { readonly input: BuildInput; readonly entries: BuildRequest['entries'] }

export interface DockerHostOptions extends HostOptions {
  /** `GATEWAY_SUBNETS` */
  readonly subnets: string
  /** `GATEWAY_NETWORKS` */
  readonly networks: readonly string[]
  /** `GATEWAY_REGISTRY_AUTH`: path of a docker `config.json`. */
  readonly registryAuth?: string
  readonly product: OwnProduct
  /** Whether commits may replace the controller itself, where that is a container. */
  readonly selfUpdate?: boolean
}

interface Setting {
  readonly options: DockerHostOptions
  readonly estate: Estate
  /** What the state is called by all that outlives this process. */
  readonly state: string
  readonly proxy: ProxyWish
  /** Whether the controller runs in a container of this engine. */
  readonly contained: boolean
  /** The container of the controller that commits may replace. */
  readonly own: OwnContainer | undefined
}

export async function createDockerHost(engine: Engine, options: DockerHostOptions, signal: AbortSignal): Promise<Host> {
  const { instance, state, subnets, networks, product } = options
  const credentials = () => readCredentials(options.registryAuth)
  await credentials()
  const estate = { engine, instance, subnets, networking: createTurn(), credentials }
  const own = await readOwnContainer(engine, signal)
  const identity = await stateIdentity(own, state)
  const edges = await edgesOf(estate, signal)
  await refuseForeign(edges, identity, state)
  if (own !== undefined) await settleUpdate(estate, { own, state }, signal)
  for (const edge of edges) await joinForeign(estate, edge, networks, signal)
  const made = 'input' in product ? product.input.hash : (await ensurePulled(estate, product.image, signal)).Id
  const run = runMount(own, state)
  const folder = await openRun(run.Type, state)
  const proxy = { product: made, url: options.url, logLevel: options.logLevel, run, folder }
  const renewable = options.selfUpdate ? own : undefined
  return new DockerHost({ options, estate, state: identity, proxy, own: renewable, contained: own !== undefined })
}

class DockerHost implements Host {
  readonly #setting: Setting
  readonly #engine: Engine
  readonly #estate: Estate
  readonly #seen: Seen
  readonly #wrapping = createTurn()

  constructor(setting: Setting) {
    this.#setting = setting
    this.#estate = setting.estate
    this.#engine = setting.estate.engine
    const { listen, instance } = setting.options
    this.#seen = createSeen(this.#estate, edgeName(instance, listen))
  }

  wantedFrom(image?: ImageSource): Wanted {
    const { own, options } = this.#setting
    const isOther = own !== undefined && image !== undefined && !comesFrom(own, image)
    return {
      address: addressOf(options.listen),
      proxy: proxySpec(options.instance, this.#proxyOf(image)),
      ...(isOther ? { controller: this.#imageOf(image) } : {}),
    }
  }

  async renew(image: ImageSource, commit: string, signal: AbortSignal): Promise<string> {
    const { own, options } = this.#setting
    if (own === undefined) return 'this controller is no container'
    const renewal = { own, state: options.state, ref: this.#imageOf(image), commit }
    return renewController(this.#estate, renewal, signal)
  }

  async observe(signal: AbortSignal): Promise<Sight> {
    const { instance } = this.#estate
    const ours = labelsOf({ instance })
    const [listed, networks, images] = await Promise.all([
      this.#engine.containers(ours, signal),
      this.#engine.networks(signal),
      this.#engine.images(ours, signal),
    ])
    const containers = await this.#seen.check(listed, signal)
    await this.#refuseForeign(containers)
    const { networks: foreign } = this.#setting.options
    return sightOf({ instance, containers, networks, foreign }, images)
  }

  build(request: BuildRequest, signal: AbortSignal): Promise<void> {
    return buildImage(this.#estate, request, signal)
  }

  async prepare(log: (line: string) => void, signal: AbortSignal, product?: Product): Promise<void> {
    const own = this.#setting.options.product
    if ('input' in own) await this.build({ server: productName, ...own, log }, signal)
    else await ensurePulled(this.#estate, own.image, signal)
    if (product?.image.kind === 'ref') await ensurePulled(this.#estate, product.image.ref, signal)
    if (product?.image.kind === 'built')
      await this.build({ server: productName, input: product.image.input, entries: product.entries, log }, signal)
  }

  async startEdge(signal: AbortSignal): Promise<void> {
    const { options, state } = this.#setting
    const { listen, networks } = options
    await this.#refuseForeign(await edgesOf(this.#estate, signal))
    await ensureEdge(this.#estate, { listen, networks, state, image: this.#productImage }, signal)
  }

  startProxy(signal: AbortSignal, image?: ImageSource): Promise<void> {
    const ref = image === undefined ? this.#productImage : this.#imageOf(image)
    return ensureProxy(this.#estate, this.#proxyOf(image), ref, signal)
  }

  async start(generation: Generation, signal: AbortSignal): Promise<void> {
    const wrap = () => ensureWrapper(this.#estate, this.#productImage, signal)
    const wrapper = generation.stdio === undefined ? undefined : await this.#wrapping.take(wrap, signal)
    await startServer(this.#estate, { generation, wrapper }, signal)
  }

  async resume(id: string, signal: AbortSignal): Promise<void> {
    const unit = await this.#unit(id, signal)
    if (unit === undefined) throw new Error(`container ${id.slice(0, 12)} is gone and cannot be started again`)
    if (mark(unit.Config.Labels, 'role') === 'server') await stand(this.#estate, unit, signal)
    await this.#engine.startContainer(unit.Id, signal)
  }

  async stop(id: string, signal: AbortSignal, patience = grace * 1_000): Promise<void> {
    const seconds = Math.ceil(patience / 1_000)
    if (await this.#unit(id, signal)) await this.#engine.stopContainer(id, seconds, signal)
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    if (await this.#unit(id, signal)) await this.#engine.removeContainer(id, 'stopped', signal)
  }

  forget(server: string, signal: AbortSignal): Promise<void> {
    return forgetServer(this.#estate, server, signal)
  }

  free(signal: AbortSignal) {
    return freeBytes(this.#estate, this.#setting.contained, signal)
  }

  room(signal: AbortSignal) {
    return takenBytes(this.#estate, signal)
  }

  async collect(keep: Keep, signal: AbortSignal): Promise<void> {
    await collectImages(this.#estate, keep, signal)
    await collectWrappers(this.#estate, signal)
  }

  async logs(id: string, tail: number, signal: AbortSignal): Promise<string> {
    return (await this.#unit(id, signal)) ? plainText(await this.#engine.logs(id, tail, signal)) : ''
  }

  async *follow(id: string, tail: number, signal: AbortSignal): AsyncGenerator<string> {
    if (!(await this.#unit(id, signal))) return
    try {
      yield* plainParts(await this.#engine.follow(id, tail, signal))
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  changes(signal: AbortSignal): AsyncGenerator<void> {
    return changesOf(this.#engine, { instance: this.#estate.instance, isOurs: this.#seen.has }, signal)
  }

  async down(options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void> {
    await this.#refuseForeign(await this.#engine.containers(labelsOf({ instance: this.#estate.instance }), signal))
    await takeDown(this.#estate, options, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Units outlive the controller, and each call ends by itself: nothing is held here.
  }

  get #productImage(): string {
    const { product, instance } = this.#setting.options
    return 'input' in product ? imageTag(instance, productName, product.input.hash) : product.image
  }

  #imageOf(image: ImageSource): string {
    return image.kind === 'ref' ? image.ref : imageTag(this.#estate.instance, productName, image.input.hash)
  }

  #proxyOf(image: ImageSource | undefined): ProxyWish {
    const own = this.#setting.proxy
    if (image === undefined) return own
    return { ...own, product: image.kind === 'ref' ? image.ref : image.input.hash }
  }

  #refuseForeign(containers: readonly EngineContainer[]): Promise<void> {
    const edges = containers.filter(({ Config }) => mark(Config.Labels, 'role') === 'edge')
    return refuseForeign(edges, this.#setting.state, this.#setting.options.state)
  }

  /** A container by its id, if it is there; one that is not ours is left alone. */
  async #unit(id: string, signal: AbortSignal): Promise<EngineContainer | undefined> {
    const found = await this.#engine.container(id, signal)
    if (found && mark(found.Config.Labels, 'instance') !== this.#estate.instance)
      throw new Error(`container ${id.slice(0, 12)} is not of instance ${this.#estate.instance}: it is left alone`)
    return found
  }
}
