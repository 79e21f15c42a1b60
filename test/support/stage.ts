import { createHash, randomUUID } from 'node:crypto'
import type { BuildRequest, Generation, Host, ObservedGeneration } from '../../controller/host.ts'
import type { MadeInput } from './build-input.ts'

const signal = new AbortController().signal

/** Any text as the hash that it stands for in a test. */
export function specOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function requestOf(server: string, made: MadeInput): BuildRequest {
  return { server, ...made, log: () => {} }
}

/** A generation of `witness` that nothing else equals, but for what `of` says. */
export function generationOf({ input }: MadeInput, of: Partial<Generation> = {}): Generation {
  return {
    server: 'witness',
    spec: specOf(randomUUID()),
    origin: 'c0ffee',
    image: { kind: 'built', input },
    command: ['node', 'main.mjs'],
    port: 3000,
    env: {},
    mounts: [],
    tmpfs: ['/tmp'],
    limits: { memory: 256 * 1024 * 1024, cpus: 1, pids: 64 },
    egress: true,
    seccomp: 'default',
    ...of,
  }
}

export async function find(host: Host, spec: string): Promise<ObservedGeneration> {
  const { generations } = await host.observe(signal)
  const unit = generations.find((generation) => generation.spec === spec)
  if (unit === undefined) throw new Error(`no generation of spec ${spec}`)
  return unit
}

export async function running(host: Host): Promise<readonly string[]> {
  const { generations } = await host.observe(signal)
  return generations.filter(({ state }) => state === 'running').map(({ name }) => name)
}

/** A host may restart what crashed, or leave that to the controller. */
export function crashOf({ state, restarts }: ObservedGeneration): 'crashed' | 'fine' {
  return state === 'exited' || restarts > 0 ? 'crashed' : 'fine'
}

/** Ends and removes every generation. */
export async function clear(host: Host): Promise<void> {
  const { generations } = await host.observe(signal)
  await Promise.all(generations.map(({ id }) => host.stop(id, signal)))
  await Promise.all(generations.map(({ id }) => host.remove(id, signal)))
}

/** The entries of `made`, but for the last one, which never comes; `stuck` is called when it is asked for. */
export function stuckBefore(made: MadeInput, stuck: () => void): BuildRequest['entries'] {
  return async function* (signal) {
    const first = await made.entries(signal)[Symbol.asyncIterator]().next()
    if (first.done !== true) yield first.value
    const ended = new Promise<never>((_, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason), { once: true })
    })
    stuck()
    await ended
  }
}
