import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { parseEnvFile } from '../../controller/config/env-file.ts'
import { either } from '../../controller/docker/call.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import type { EngineContainer } from '../../controller/docker/engine.ts'
import { plainText } from '../../controller/docker/log.ts'
import { type Composition, mountOf, readComposition } from './composition.ts'
import { post, runIn } from './engine.ts'
import { buildImage } from './image.ts'

/** What must differ between two stacks on one engine, and from what an operator has. */
export interface StackOptions {
  /** Folder of `docker-compose.yml` and `gateway.env`. */
  readonly folder: string
  /** Instead of the file's name. */
  readonly project: string
  /** Volume names and folders of the machine, instead of the file's. */
  readonly instead: Readonly<Record<string, string>>
  /** Where the status page is published, on loopback. */
  readonly port: number
}

/** What `docker compose` makes of `docker-compose.yml`, by the engine's API. Disposing takes all of it down. */
export interface Stack extends AsyncDisposable {
  /** `build`, and then `up -d`: the container is replaced where its image is another one. */
  up(): Promise<void>
  /** `down`, which leaves volumes. */
  down(): Promise<void>
  /** `exec controller …`: its exit code and all that it printed. */
  exec(...command: readonly string[]): Promise<{ readonly code: number; readonly output: string }>
  /** `logs controller` */
  logs(): Promise<string>
  /** What it labels as its own, running or not. */
  controllers(): Promise<readonly EngineContainer[]>
  /** Id of the image that was built last, and its name. */
  readonly image: string
  readonly tag: string
}

const engine = openEngine()
const limit = () => AbortSignal.timeout(600_000)

export async function createStack(options: StackOptions): Promise<Stack> {
  return new ComposedStack(options, await readComposition(options.folder))
}

class ComposedStack implements Stack {
  readonly #options: StackOptions
  readonly #file: Composition
  readonly #images = new Set<string>()
  image = ''

  constructor(options: StackOptions, file: Composition) {
    this.#options = options
    this.#file = file
  }

  async up(): Promise<void> {
    await this.#build()
    const running = await this.#container()
    if (running?.Image === this.image) return
    if (running !== undefined) await this.#removeContainer()
    await this.#make()
    await engine.startContainer(this.#name, limit())
  }

  async down(): Promise<void> {
    await this.#removeContainer()
    await engine.removeNetwork(this.#network, limit())
  }

  async exec(...command: readonly string[]) {
    return runIn((await this.#container())?.Id ?? this.#name, command)
  }

  async logs(): Promise<string> {
    return plainText(await engine.logs((await this.#container())?.Id ?? this.#name, 1_000, limit()))
  }

  controllers(): Promise<readonly EngineContainer[]> {
    return engine.containers(this.#labels, limit())
  }

  /** As Compose does, by its labels: whatever it is called. */
  async #container(): Promise<EngineContainer | undefined> {
    const all = await this.controllers()
    if (all.length > 1) throw new Error(`${all.length} controllers: ${all.map(({ Name }) => Name).join(', ')}`)
    return all[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
    const volumes = this.#mounts.filter(({ source }) => !source.startsWith('/'))
    // One that another stack uses stays.
    for (const { source } of volumes) await either(409, engine.removeVolume(source, limit()), undefined)
    for (const image of [this.tag, ...this.#images]) await engine.removeImage(image, limit())
  }

  get #name(): string {
    return `${this.#options.project}-controller-1`
  }

  get tag(): string {
    return `${this.#options.project}/${this.#file.services.controller.image}`
  }

  get #network(): string {
    return `${this.#options.project}_default`
  }

  /** Of the image too, so that what we run from it has them as well. */
  get #marks(): Record<string, string> {
    return { 'com.docker.compose.project': this.#options.project, 'com.docker.compose.service': 'controller' }
  }

  /** What Compose knows its containers by. */
  get #labels(): Record<string, string> {
    return { ...this.#marks, 'com.docker.compose.config-hash': this.#options.project }
  }

  get #mounts() {
    const { instead } = this.#options
    return this.#file.services.controller.volumes.map(mountOf).map((mount) => {
      const source = this.#file.volumes[mount.source]?.name ?? mount.source
      return { ...mount, source: instead[source] ?? source }
    })
  }

  async #build(): Promise<void> {
    this.image = await buildImage(this.#options.folder, { tag: this.tag, labels: this.#marks })
    this.#images.add(this.image)
  }

  async #make(): Promise<void> {
    const { restart, init, healthcheck, logging, ports } = this.#file.services.controller
    const network = { Name: this.#network, Internal: false, Labels: this.#labels, Options: {} }
    const known = (await engine.networks(limit())).some(({ Name }) => Name === this.#network)
    if (!known) await engine.createNetwork(network, limit())
    const inside = ports.map((line) => `${line.split(':')[1]}/tcp`)
    await post(`/containers/create?name=${this.#name}`, {
      Image: this.tag,
      Labels: this.#labels,
      Env: await this.#environment(),
      Healthcheck: { Test: healthcheck.test, Interval: nanoseconds(healthcheck.interval) },
      ExposedPorts: Object.fromEntries(inside.map((port) => [port, {}])),
      HostConfig: {
        Init: init,
        NetworkMode: this.#network,
        RestartPolicy: { Name: restart },
        LogConfig: { Type: logging.driver, Config: logging.options },
        Binds: this.#mounts.map(({ source, target, readOnly }) => `${source}:${target}${readOnly ? ':ro' : ''}`),
        PortBindings: Object.fromEntries(
          inside.map((port) => [port, [{ HostIp: '127.0.0.1', HostPort: String(this.#options.port) }]]),
        ),
      },
    })
  }

  async #environment(): Promise<string[]> {
    const text = await readFile(join(this.#options.folder, this.#file.services.controller.env_file), 'utf8')
    return [...parseEnvFile(text)].map(([name, value]) => `${name}=${value}`)
  }

  async #removeContainer(): Promise<void> {
    for (const { Id } of await this.controllers()) {
      await engine.stopContainer(Id, 10, limit())
      await engine.removeContainer(Id, 'stopped', limit())
    }
  }
}

function nanoseconds(seconds: string): number {
  return Number.parseInt(seconds, 10) * 1e9
}

/** An address of this machine that containers reach whatever network they are on. */
export function addressForContainers(): string {
  const { docker0 = [], ...others } = networkInterfaces()
  const all = [...docker0, ...Object.values(others).flatMap((addresses) => addresses ?? [])]
  const address = all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
  if (address === undefined) throw new Error('this machine has no address that a container could reach')
  return address
}
