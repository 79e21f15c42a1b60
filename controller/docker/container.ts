import type { Generation, Mount } from '../host.ts'
import { noResolver } from './drift.ts'
import type { ContainerOptions, EngineImage } from './engine.ts'
import { labelsOf, serverNetwork, volumeName } from './labels.ts'
import { chromiumProfile } from './seccomp-chromium.ts'
import { wrappedCommand, wrappedEnvironment, wrapperMount } from './stdio.ts'

/** Seconds that a container has to end. */
export const grace = 10

/** The engine starts again what ends by itself. */
export const unlessStopped = { RestartPolicy: { Name: 'unless-stopped' } }

/** What no container of ours may do, whatever it is for; filling the disk with its log among it. */
export const confined = {
  Init: true,
  ReadonlyRootfs: true,
  CapDrop: ['ALL'],
  ...unlessStopped,
  LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
}

/** What stands before its container does. */
export interface Made {
  readonly image: EngineImage
  readonly user: string
  /** The volume of the wrapper, where its program speaks on stdin and stdout. */
  readonly wrapper: string | undefined
}

/** The container of a generation, on its server's network; the way out is connected after it is made. */
export function serverContainer(
  instance: string,
  generation: Generation,
  { image, user, wrapper }: Made,
): ContainerOptions {
  const { server, spec, origin, port, limits } = generation
  const mounts = generation.mounts.map((mount) => mountOf(instance, server, mount))
  const context = generation.image.kind === 'built' ? { context: generation.image.input.hash } : {}
  return {
    Image: image.Id,
    Labels: labelsOf({ instance, role: 'server', server, spec, origin, ...context }),
    User: user,
    ...wrappedCommand(generation, image),
    Env: pairs({ HOME: '/tmp', ...wrappedEnvironment(generation, image), PORT: String(port), HOST: '0.0.0.0' }),
    StopTimeout: grace,
    HostConfig: {
      ...confined,
      NetworkMode: serverNetwork(instance, server),
      SecurityOpt: securityOf(generation),
      Tmpfs: tmpfsOf(generation),
      Mounts: wrapper === undefined ? mounts : [...mounts, wrapperMount(wrapper)],
      ...limitsOf(limits),
      ...(generation.egress ? {} : unresolving),
    },
  }
}

/** A generation's limits in the engine's units; no more memory by swapping. */
export function limitsOf({ memory, cpus, pids }: Generation['limits']) {
  return { Memory: memory, MemorySwap: memory, NanoCpus: Math.round(cpus * 1e9), PidsLimit: pids }
}

/** Names of containers resolve all the same; any other fails in a second, where a server that is not there would take ten. */
const unresolving = { Dns: [noResolver], DnsOptions: ['timeout:1', 'attempts:1'] }

function securityOf({ seccomp }: Generation): string[] {
  return ['no-new-privileges:true', ...(seccomp === 'chromium' ? [`seccomp=${JSON.stringify(chromiumProfile)}`] : [])]
}

/** What is written there is memory: half of the limit, so that a full disk is an error rather than a kill. */
function tmpfsOf({ tmpfs, limits }: Generation): Record<string, string> {
  const options = `rw,nosuid,nodev,noexec,mode=1777,size=${Math.floor(limits.memory / 2)}`
  return Object.fromEntries(tmpfs.map((path) => [path, options]))
}

function mountOf(instance: string, server: string, { kind, source, target }: Mount) {
  if (kind === 'folder') return { Type: 'bind', Source: source, Target: target, ReadOnly: true } as const
  return { Type: 'volume', Source: volumeName(instance, server, source), Target: target, ReadOnly: false } as const
}

export function pairs(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`)
}
