import type { ImageSource } from '../../controller/desired.ts'
import {
  type BuildRequest,
  type Generation,
  generationKey,
  type Host,
  type Keep,
  type ObservedEdge,
  type ObservedGeneration,
  type ObservedProxy,
  unitName,
} from '../../controller/host.ts'
import { wanted } from './make.ts'

export type Verb =
  | 'observe'
  | 'build'
  | 'prepare'
  | 'startEdge'
  | 'startProxy'
  | 'start'
  | 'resume'
  | 'stop'
  | 'remove'
  | 'forget'
  | 'renew'

/** A host of values only, for faults that real ones cannot be brought to; what is on it is there to read and to change. */
export interface MemoryHost extends Host {
  edge: ObservedEdge | undefined
  proxies: readonly ObservedProxy[]
  generations: readonly ObservedGeneration[]
  readonly built: Set<string>
  /** Free bytes, as far as they are known. */
  space: number | undefined
  /** Identity of the image that the controller came in, where commits may replace it. */
  own: string | undefined
  /** Why the controller is not replaced. */
  refusal: string
  /** Servers that were started once and have not been forgotten. */
  readonly networks: Set<string>
  /** How many builds of a server were to be kept when they were last collected. */
  collected: number | undefined
  /** Verbs that changed something, in order: `start outline`. */
  readonly did: readonly string[]
  /** Is called before a verb acts: what it throws is the verb's failure, and while it waits the verb hangs. */
  fault: (verb: Verb, server: string) => Promise<void> | void
  /** What `start` makes of a generation; a test changes it to one that stops at once, for example. */
  born: (unit: ObservedGeneration) => ObservedGeneration
  /** Whatever has this spec changes by itself. */
  change(spec: string, more: Partial<ObservedGeneration>): void
  /** Whatever has this spec ends by itself; what is left of it is given. */
  crash(spec: string, exitCode: number, startedAt?: number): void
}

/** With edge and proxy where `stands`; else empty. */
export function createMemoryHost({ stands = true } = {}): MemoryHost {
  const host = new OnlyMemory()
  if (stands) {
    host.edge = { id: 'edge', name: 'gateway-edge', state: 'running', startedAt: 1, address: wanted.address }
    host.proxies = [proxy]
  }
  return host
}

const proxy: ObservedProxy = { id: 'proxy', name: 'gateway-proxy', state: 'running', startedAt: 2, spec: wanted.proxy }

class OnlyMemory implements MemoryHost {
  edge: ObservedEdge | undefined
  proxies: readonly ObservedProxy[] = []
  generations: readonly ObservedGeneration[] = []
  readonly built = new Set<string>()
  space: number | undefined
  readonly networks = new Set<string>()
  collected: number | undefined
  readonly did: string[] = []
  fault: MemoryHost['fault'] = () => {}
  born: MemoryHost['born'] = (unit) => unit
  own: string | undefined
  refusal = 'refused'
  #starts = 2

  change(spec: string, more: Partial<ObservedGeneration>): void {
    this.#alter((one) => one.spec === spec, more)
  }

  crash(spec: string, exitCode: number, startedAt?: number): void {
    this.#end((one) => one.spec === spec, exitCode, startedAt)
  }

  wantedFrom(image?: ImageSource) {
    if (image === undefined) return wanted
    const proxy = image.kind === 'ref' ? image.ref : image.input.hash
    return { ...wanted, proxy, ...(this.own === undefined || this.own === proxy ? {} : { controller: proxy }) }
  }

  async observe(signal: AbortSignal) {
    await this.#act('observe', '', signal)
    const { edge, proxies, generations } = this
    const left = new Set([...this.networks, ...[...this.built].map((key) => key.slice(0, key.indexOf('@')))])
    for (const { server } of generations) left.delete(server)
    return { edge, proxies, generations, built: new Set(this.built), left }
  }

  async build({ server, input, entries }: BuildRequest, signal: AbortSignal) {
    await this.#act('build', server, signal)
    for await (const _ of entries(signal)) signal.throwIfAborted()
    this.built.add(generationKey(server, input.hash))
  }

  async prepare(_: (line: string) => void, signal: AbortSignal) {
    await this.#act('prepare', '', signal)
  }

  async startEdge(signal: AbortSignal) {
    await this.#act('startEdge', '', signal)
    this.edge = { id: 'edge', name: 'gateway-edge', state: 'running', startedAt: 1, address: wanted.address }
  }

  async startProxy(signal: AbortSignal, image?: ImageSource) {
    await this.#act('startProxy', '', signal)
    const { proxy: spec } = this.wantedFrom(image)
    const own = spec === wanted.proxy ? proxy : { ...proxy, id: `proxy-${spec}`, startedAt: ++this.#starts, spec }
    this.proxies = [...this.proxies.filter(({ id }) => id !== own.id), own]
  }

  async start({ server, spec, origin }: Generation, signal: AbortSignal) {
    await this.#act('start', server, signal)
    this.networks.add(server)
    const there = this.generations.find((one) => one.server === server && one.spec === spec)
    if (there?.state === 'running') return this.#putRight(there)
    const name = unitName('gateway', server, spec)
    const unit = { id: name, name, server, spec, origin, restarts: 0, ...this.#running(name) }
    this.generations = [...this.generations.filter((one) => one !== there), this.born(unit)]
  }

  async resume(id: string, signal: AbortSignal) {
    const unit = this.generations.find((one) => one.id === id)
    await this.#act('resume', unit?.server ?? id, signal)
    if (unit === undefined) throw new Error(`there is no ${id}`)
    if (unit.state !== 'running') this.#alter((one) => one === unit, this.#running(unit.name))
  }

  async stop(id: string, signal: AbortSignal) {
    const unit = this.generations.find((one) => one.id === id)
    await this.#act('stop', unit?.server ?? id, signal)
    this.proxies = this.proxies.map((one) => (one.id === id ? { ...one, state: 'exited' as const } : one))
    if (unit?.state === 'running') this.#end((one) => one === unit, 143)
  }

  async remove(id: string, signal: AbortSignal) {
    await this.#act('remove', id, signal)
    this.generations = this.generations.filter((one) => one.id !== id)
    this.proxies = this.proxies.filter((one) => one.id !== id)
  }

  async forget(server: string, signal: AbortSignal) {
    await this.#act('forget', server, signal)
    this.networks.delete(server)
    for (const key of this.built) if (key.startsWith(`${server}@`)) this.built.delete(key)
  }

  async free() {
    return this.space
  }

  async room() {
    return {}
  }

  async collect({ most }: Keep) {
    this.collected = most
  }

  async logs(id: string) {
    return `last words of ${id}`
  }

  async *follow(id: string): AsyncGenerator<string> {
    yield `last words of ${id}\n`
  }

  async renew(_image: ImageSource, _commit: string, signal: AbortSignal) {
    await this.#act('renew', '', signal)
    return this.refusal
  }

  async *changes(): AsyncGenerator<void> {}

  async down() {
    this.did.push('down')
    this.generations = []
  }

  async [Symbol.asyncDispose]() {}

  async #act(verb: Verb, server: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.fault(verb, server)
    signal.throwIfAborted()
    if (verb !== 'observe') this.did.push(server === '' ? verb : `${verb} ${server}`)
  }

  #alter(isSuch: (unit: ObservedGeneration) => boolean, more: Partial<ObservedGeneration>): void {
    this.generations = this.generations.map((one) => (isSuch(one) ? { ...one, ...more } : one))
  }

  #end(isSuch: (unit: ObservedGeneration) => boolean, exitCode: number, startedAt?: number): void {
    this.generations = this.generations.map((one) => {
      if (!isSuch(one)) return one
      const { upstream: _, ...rest } = one
      return { ...rest, state: 'exited', exitCode, startedAt: startedAt ?? one.startedAt, endedAt: Date.now() }
    })
  }

  #putRight({ drift: _, limits: __, ...unit }: ObservedGeneration): void {
    this.generations = this.generations.map((one) => (one.id === unit.id ? unit : one))
  }

  #running(name: string) {
    return { state: 'running' as const, startedAt: ++this.#starts, upstream: `http://${name}:${3000 + this.#starts}` }
  }
}
