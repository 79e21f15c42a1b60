import { existsSync } from 'node:fs'
import { mkdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import {
  addressOf,
  type BuildRequest,
  type Generation,
  generationKey,
  type Host,
  HostDown,
  type HostOptions,
  type Keep,
  lastCalls,
  type Sight,
  unitName,
  type Wanted,
} from '../host.ts'
import { proxyCommand } from '../proxy-program.ts'
import { Builds } from './builds.ts'
import { isFree } from './child.ts'
import { blameMachine } from './fault.ts'
import { findPlaces, rewritePaths } from './mounts.ts'
import { proxyEnvironment, proxySpec } from './proxy.ts'
import { seeEdge, seeGeneration, seeProxy } from './sight.ts'
import { Units, type UnitsOptions } from './units.ts'
import { wrapped } from './wrapped.ts'

/** What `npm start` prints before it runs anything on this host. */
export const noSandbox =
  'No sandbox: servers run as plain processes and may read, write and reach all that this user may; limits and egress do not bind them.'

export interface ProcessHostOptions extends HostOptions, UnitsOptions {
  /** Folder of the checkout that proxies are started from. */
  readonly product: string
}

/** A host whose units are child processes. They outlive it: only `stop` and `down` end them. Needs Linux. */
export async function openProcessHost(options: ProcessHostOptions): Promise<Host> {
  if (!existsSync('/proc/self/stat'))
    throw new Error('the process runtime needs Linux: only /proc tells its own processes from strangers; use docker')
  const builds = new Builds(options)
  await builds.open()
  const units = new Units(options)
  const wanted = { address: addressOf(options.listen), proxy: await proxySpec(options.product, options) }
  return new ProcessHost({ options, builds, units, wanted })
}

interface Parts {
  readonly options: ProcessHostOptions
  readonly builds: Builds
  readonly units: Units
  readonly wanted: Wanted
}

class ProcessHost implements Host {
  readonly #wanted: Wanted
  readonly #options: ProcessHostOptions
  readonly #builds: Builds
  readonly #units: Units

  constructor({ options, builds, units, wanted }: Parts) {
    this.#wanted = wanted
    this.#options = options
    this.#builds = builds
    this.#units = units
  }

  wantedFrom(): Wanted {
    return this.#wanted
  }

  async renew(): Promise<string> {
    return 'this controller is no container'
  }

  async observe(signal: AbortSignal): Promise<Sight> {
    signal.throwIfAborted()
    const { state } = this.#options
    return await this.#look().catch((cause) => {
      throw cause instanceof HostDown ? cause : new HostDown(`cannot read ${state}: ${cause}`, { cause })
    })
  }

  async #look(): Promise<Sight> {
    const built = await this.#builds.list()
    const units = this.#units.list().map((record) => ({ record, runs: this.#units.runs(record) }))
    const generations = units.flatMap(({ record, runs }) => seeGeneration(record, runs) ?? [])
    const left = new Set([...built].map((key) => key.slice(0, key.indexOf('@'))))
    for (const { server } of generations) left.delete(server)
    return {
      edge: seeEdge(this.#options),
      proxies: units.flatMap(({ record, runs }) => seeProxy(record, runs) ?? []),
      generations,
      built,
      left,
    }
  }

  build(request: BuildRequest, signal: AbortSignal): Promise<void> {
    return blameMachine(() => this.#builds.build(request, signal))
  }

  /** Proxies run from the checkout as it is. */
  async prepare(): Promise<void> {}

  /** Proxies listen at the published address themselves, each beside the others. */
  async startEdge(): Promise<void> {}

  async startProxy(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { instance, state, product } = this.#options
    const spec = this.#wanted.proxy
    const name = unitName(instance, 'proxy', spec)
    await this.#demandPort()
    for (const folder of ['run', 'proxy', 'code']) await mkdir(join(state, folder), { recursive: true, mode: 0o700 })
    const launch = {
      command: [...proxyCommand],
      folder: product,
      env: proxyEnvironment(name, this.#options),
    }
    await blameMachine(() => this.#units.run({ name, is: { role: 'proxy', spec }, launch }))
  }

  /** Proxies share their port with whoever asks for that, so that a stranger's would get some of the calls. */
  async #demandPort(): Promise<void> {
    const ours = this.#units.list().some((record) => record.is.role === 'proxy' && this.#units.runs(record))
    if (ours || (await isFree(this.#options.listen))) return
    const { address } = this.#wanted
    throw new HostDown(
      `GATEWAY_PROXY_LISTEN: ${address} is in use by another program: end it, or choose another port; tried again by itself`,
    )
  }

  async start(generation: Generation, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { server, spec, origin, image, command, stdio, mounts } = generation
    if (image.kind === 'ref') throw new Error(`${server}: only Docker can run it: it is an image`)
    if (command === undefined) throw new Error(`${server}: only Docker can run it: its manifest names no command`)
    const folder = this.#builds.folderOf(server, image.input)
    if (folder === undefined) throw new Error(`${server}: there is no build of ${image.input.hash}`)
    const { instance, state } = this.#options
    const where = { volumes: join(state, 'volumes'), prefix: `${instance}-${server}` }
    const name = unitName(instance, server, spec)
    const is = { role: 'server', server, spec, context: image.input.hash, origin } as const
    await blameMachine(async () => {
      const places = await findPlaces(mounts, where)
      const env = rewritePaths(generation.env, places)
      const launch = {
        folder,
        ...(stdio === undefined ? { command: [...command], env } : wrapped({ stdio, command, env })),
      }
      await this.#units.run({ name, is, launch })
    })
  }

  async resume(id: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const record = this.#units.find(id)
    if (record === undefined) throw new Error(`there is no ${id} to resume`)
    await blameMachine(() => this.#units.run(record))
  }

  stop(id: string, signal: AbortSignal, patience?: number): Promise<void> {
    return this.#units.stop(id, signal, patience)
  }

  async remove(id: string): Promise<void> {
    this.#units.remove(id)
  }

  async forget(server: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const contexts = this.#units
      .list()
      .flatMap(({ is }) => (is.role === 'server' && is.server === server ? is.context : []))
    await this.#builds.forget(server, new Set(contexts))
  }

  async free(signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted()
    const found = await statfs(this.#options.state).catch(() => undefined)
    return found && found.bavail * found.bsize
  }

  /** It has no images and no cache of its own. */
  async room(): Promise<object> {
    return {}
  }

  async collect({ most, wanted }: Keep, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const inUse = this.#units
      .list()
      .flatMap(({ is }) => (is.role === 'server' ? generationKey(is.server, is.context) : []))
    await this.#builds.collect(most, new Set([...wanted, ...inUse]))
  }

  async logs(id: string, tail: number, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    return await this.#units.logs(id, tail)
  }

  follow(id: string, tail: number, signal: AbortSignal): AsyncIterable<string> {
    return this.#units.follow(id, tail, signal)
  }

  changes(signal: AbortSignal): AsyncIterable<void> {
    return this.#units.changes(signal)
  }

  async down({ volumes }: { readonly volumes: boolean }, signal: AbortSignal): Promise<void> {
    const units = this.#units.list()
    const names = units.map(({ name }) => name)
    const proxies = units.filter(({ is }) => is.role === 'proxy')
    await Promise.all(proxies.map(({ name }) => this.#units.stop(name, signal, lastCalls)))
    await Promise.all(names.map((name) => this.#units.stop(name, signal)))
    for (const name of names) this.#units.remove(name)
    await this.#builds.clear()
    if (!volumes) return
    // The proxies' folder is a volume on other hosts.
    for (const folder of ['volumes', 'proxy'])
      await rm(join(this.#options.state, folder), { recursive: true, force: true })
  }

  /** Children outlive it, so that agents are served while there is no controller. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
