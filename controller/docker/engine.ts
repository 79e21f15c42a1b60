import type { Readable } from 'node:stream'
import type { Credential } from './credentials.ts'

export type Labels = Readonly<Record<string, string>>

export interface EngineContainer {
  readonly Id: string
  /** With a leading slash. */
  readonly Name: string
  /** Id of its image. */
  readonly Image: string
  readonly RestartCount: number
  readonly State: {
    readonly Status: string
    readonly StartedAt: string
    readonly FinishedAt: string
    readonly ExitCode: number
  }
  readonly Config: { readonly Labels: Labels; readonly Env: readonly string[] | null }
  readonly HostConfig: {
    readonly Memory?: number | undefined
    readonly NanoCpus?: number | undefined
    readonly PidsLimit?: number | null | undefined
    readonly RestartPolicy?: { readonly Name: string } | undefined
    readonly Dns?: readonly string[] | null | undefined
    readonly NetworkMode?: string | undefined
    readonly Sysctls?: Readonly<Record<string, string>> | null | undefined
    readonly PortBindings?: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[]>> | null
  }
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, unknown>> }
  readonly Mounts: readonly EngineMount[]
}

export interface EngineMount {
  readonly Type: string
  /** Of a volume. */
  readonly Name?: string | undefined
  /** A folder of the machine. */
  readonly Source: string
  readonly Destination: string
}

export interface EngineVersion {
  readonly Version: string
  readonly ApiVersion: string
  readonly KernelVersion: string
}

export interface EngineImage {
  readonly Id: string
  /** `name@sha256:…` as registries know it. */
  readonly RepoDigests?: readonly string[] | null | undefined
  readonly Config: {
    readonly User: string
    readonly Labels: Labels | null
    readonly Env?: readonly string[] | null | undefined
    readonly Entrypoint?: string | readonly string[] | null | undefined
    readonly Cmd?: readonly string[] | null | undefined
  }
  readonly Metadata?: { readonly LastTagTime?: string | undefined } | undefined
}

/** Bytes that things take on the engine's disk. */
export interface EngineUsage {
  readonly images: readonly { readonly Labels: Labels | null; readonly Size: number; readonly SharedSize: number }[]
  readonly cache: readonly { readonly Size: number }[]
}

export interface ListedImage {
  readonly Id: string
  readonly RepoTags?: readonly string[] | null | undefined
  readonly Labels: Labels | null
  /** Bytes, layers that it shares with others among them. */
  readonly Size?: number | undefined
}

export interface EngineNetwork {
  readonly Id: string
  readonly Name: string
  readonly Internal: boolean
  readonly Labels?: Labels | null | undefined
  readonly IPAM?: { readonly Config?: readonly { readonly [field: string]: unknown }[] | null | undefined } | undefined
}

export interface NetworkOptions {
  readonly Name: string
  readonly Internal: boolean
  readonly Labels: Record<string, string>
  readonly Options: Record<string, string>
  /** CIDR; the engine chooses one where it is absent. */
  readonly subnet?: string
}

/** The engine's options of `POST /containers/create`, as far as we set any. */
export interface ContainerOptions {
  readonly Image: string
  readonly Labels: Record<string, string>
  readonly User?: string
  readonly Entrypoint?: string[]
  readonly Cmd?: string[]
  readonly Env?: string[]
  readonly StopTimeout?: number
  readonly ExposedPorts?: Record<string, object>
  readonly HostConfig: {
    readonly NetworkMode: string
    readonly Init?: boolean
    readonly ReadonlyRootfs?: boolean
    readonly CapDrop?: string[]
    readonly SecurityOpt?: string[]
    readonly Tmpfs?: Record<string, string>
    readonly Mounts?: { Type: 'bind' | 'volume'; Source: string; Target: string; ReadOnly: boolean }[]
    readonly Memory?: number
    readonly MemorySwap?: number
    readonly NanoCpus?: number
    readonly PidsLimit?: number
    readonly RestartPolicy?: { Name: string }
    readonly LogConfig?: { Type: string; Config: Record<string, string> }
    readonly ExtraHosts?: string[]
    readonly Sysctls?: Record<string, string>
    readonly PortBindings?: Record<string, { HostIp: string; HostPort: string }[]>
    readonly Dns?: string[]
    readonly DnsOptions?: string[]
  }
}

/** What can be changed of a container that is there. */
export type ContainerChanges = Pick<
  ContainerOptions['HostConfig'],
  'Memory' | 'MemorySwap' | 'NanoCpus' | 'PidsLimit' | 'RestartPolicy'
>

/** The engine's options of the same call, taken from what it said of another container. */
export interface Likeness {
  readonly HostConfig: Readonly<Record<string, unknown>>
  readonly [option: string]: unknown
}

export interface BuildOptions {
  readonly t: string
  readonly dockerfile: string
  readonly labels: Record<string, string>
  readonly buildargs: Record<string, string>
  readonly target?: string
}

/**
 * The calls of the engine that the Docker host makes. Each has a limit, and ends with the signal.
 * Throws `HostDown` when the engine does not answer, `EngineRefusal` when it says no.
 */
export interface Engine {
  /** Every container, running or not, that carries the labels. */
  containers(labels: Labels, signal: AbortSignal): Promise<readonly EngineContainer[]>
  container(id: string, signal: AbortSignal): Promise<EngineContainer | undefined>
  /** Its id, or `taken` when another container has the name. */
  createContainer(name: string, options: ContainerOptions, signal: AbortSignal): Promise<{ id: string } | 'taken'>
  /** The same, by options that are the engine's own words. */
  createLike(name: string, options: Likeness, signal: AbortSignal): Promise<{ id: string } | 'taken'>
  /** All that it says of a container, or of an image, in its own words. */
  describe(what: 'container' | 'image', id: string, signal: AbortSignal): Promise<unknown>
  startContainer(id: string, signal: AbortSignal): Promise<void>
  stopContainer(id: string, seconds: number, signal: AbortSignal): Promise<void>
  unpauseContainer(id: string, signal: AbortSignal): Promise<void>
  renameContainer(id: string, name: string, signal: AbortSignal): Promise<void>
  updateContainer(id: string, changes: ContainerChanges, signal: AbortSignal): Promise<void>
  removeContainer(id: string, how: 'stopped' | 'even running', signal: AbortSignal): Promise<void>
  /** Its output as the engine frames it. */
  logs(id: string, tail: number, signal: AbortSignal): Promise<Buffer>
  /** The same, and what comes from then on, until the container or the signal ends. */
  follow(id: string, tail: number, signal: AbortSignal): Promise<NodeJS.ReadableStream>
  /** What answers: the engine's and its API's version, and the machine's kernel. */
  version(signal: AbortSignal): Promise<EngineVersion>
  /** A path of a container as a tar; undefined where there is no such path. */
  download(id: string, path: string, signal: AbortSignal): Promise<NodeJS.ReadableStream | undefined>
  upload(id: string, folder: string, tar: Readable, signal: AbortSignal): Promise<void>
  images(labels: Labels, signal: AbortSignal): Promise<readonly ListedImage[]>
  image(ref: string, signal: AbortSignal): Promise<EngineImage | undefined>
  /** Ends when the build does, well or not; errors of the build itself are in the returned text. */
  build(tar: Readable, options: BuildOptions, log: (line: string) => void, signal: AbortSignal): Promise<string>
  pull(ref: string, credential: Credential | undefined, signal: AbortSignal): Promise<string>
  /** Folder of its machine in which it stores everything. */
  folder(signal: AbortSignal): Promise<string>
  /** May take seconds. */
  usage(signal: AbortSignal): Promise<EngineUsage>
  /** Makes `name:tag` stand for an image, whatever it stood for. */
  tagImage(id: string, name: string, tag: string, signal: AbortSignal): Promise<void>
  /** `kept` where a container uses it. */
  removeImage(ref: string, signal: AbortSignal): Promise<'removed' | 'kept'>
  networks(signal: AbortSignal): Promise<readonly EngineNetwork[]>
  createNetwork(options: NetworkOptions, signal: AbortSignal): Promise<void>
  connect(network: string, container: string, signal: AbortSignal): Promise<void>
  disconnect(network: string, container: string, signal: AbortSignal): Promise<void>
  removeNetwork(network: string, signal: AbortSignal): Promise<void>
  volumes(labels: Labels, signal: AbortSignal): Promise<readonly string[]>
  /** The labels of a volume, undefined where there is none of that name. */
  volume(name: string, signal: AbortSignal): Promise<Labels | undefined>
  createVolume(name: string, labels: Record<string, string>, signal: AbortSignal): Promise<void>
  removeVolume(name: string, signal: AbortSignal): Promise<void>
  /** A line of JSON for each event of a container or a network that `told` names; lives until the signal. */
  events(signal: AbortSignal): Promise<AsyncIterable<string>>
}

/** The engine answers, and says no. `status` is HTTP's. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal'
  readonly status: number
  constructor(status: number, message: string, cause: unknown) {
    super(message, { cause })
    this.status = status
  }
}
