import type { BuildInput, ImageSource } from './desired.ts'

/** One file of a build input, in the order of its path. */
export interface BuildEntry {
  /** Relative to the build context, `/`-separated. */
  readonly path: string
  /** git's mode: `100644`, `100755`, `120000` (a symlink, whose body is its target). */
  readonly mode: string
  readonly body: Buffer
}

export interface BuildRequest {
  /** Name of the server, or `gateway` for the product image. */
  readonly server: string
  readonly input: BuildInput
  /** Reads the input's files from git objects, in order; each call starts anew. */
  readonly entries: (signal: AbortSignal) => AsyncIterable<BuildEntry>
  /** Takes each line of the build's output. */
  readonly log: (line: string) => void
}

/** A folder of the machine or a named volume, as a container sees it. */
export type Mount =
  | { readonly kind: 'folder'; readonly source: string; readonly target: string }
  | { readonly kind: 'volume'; readonly source: string; readonly target: string }

/** Everything that a container of a server is made from. Its identity is `spec`. */
export interface Generation {
  readonly server: string
  /** 64 hex digits. */
  readonly spec: string
  /** First commit that asked for it. */
  readonly origin: string
  readonly image: ImageSource
  readonly command?: readonly string[]
  /** Its program speaks MCP on stdin and stdout, and our wrapper serves it; `secrets` are variables that no log shows. */
  readonly stdio?: {
    readonly sessions: number
    /** ms */
    readonly idle: number
    readonly path: string
    readonly health?: string
    readonly secrets: readonly string[]
  }
  readonly port: number
  /** Without PORT and HOST, which the host adds; with the secrets' values. */
  readonly env: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  readonly tmpfs: readonly string[]
  readonly limits: { readonly memory: number; readonly cpus: number; readonly pids: number }
  readonly egress: boolean
  readonly user?: string
  readonly seccomp: 'default' | 'chromium'
}

export type UnitState = 'created' | 'running' | 'exited'

interface Unit {
  readonly id: string
  readonly name: string
  readonly state: UnitState
  /** ms since the epoch, 0 if it never started. */
  readonly startedAt: number
  readonly exitCode?: number
  /** When it ended, ms since the epoch; absent while it runs, and where nobody knows. */
  readonly endedAt?: number
  /** How it is not as the host made it, in words, where somebody changed it while it ran: asking for it once more puts it right. */
  readonly drift?: string
}

export interface ObservedGeneration extends Unit {
  readonly server: string
  readonly spec: string
  readonly context?: string
  readonly origin: string
  /** Times that the host restarted it by itself. */
  readonly restarts: number
  /** As they hold now, in a generation's units; absent where the host sets none, or does not tell. */
  readonly limits?: Partial<Generation['limits']>
  /** `http://host:port` as the proxy reaches it; absent while it does not run. */
  readonly upstream?: string
}

export interface ObservedProxy extends Unit {
  readonly spec: string
}

export interface ObservedEdge extends Unit {
  /** What identifies it: the published address. */
  readonly address: string
  /** What it cannot give, and what that costs, in words for people. */
  readonly remark?: string
}

/** Hands connections that no proxy has accepted yet from one that leaves to the others; from Linux 5.14. */
export const migration = 'net.ipv4.tcp_migrate_req'

/** Of an edge that cannot have that. */
export const lossyHandover = `proxies are replaced with a few reset connections: ${migration}`

/** One look at the host. Only what carries this instance's label is in it. */
export interface Sight {
  readonly edge: ObservedEdge | undefined
  readonly proxies: readonly ObservedProxy[]
  readonly generations: readonly ObservedGeneration[]
  /** `<server>@<context hash>` of every build result that is there. */
  readonly built: ReadonlySet<string>
  /** Servers of which there is no container, and a network or a build all the same. */
  readonly left?: ReadonlySet<string>
}

/** What the host needs for itself: the edge's published address, and the identity of this version's proxy. */
export interface Wanted {
  readonly address: string
  readonly proxy: string
  /** Identity of the controller that is wanted, where that which runs is another and may be replaced. */
  readonly controller?: string
}

/** What a commit wants proxies to run from, with the files to build it from. */
export interface Product {
  readonly image: ImageSource
  readonly entries: BuildRequest['entries']
}

/** Which builds stay beside those that units use. */
export interface Keep {
  /** Of each server the newest, so many. */
  readonly most: number
  /** `<server>@<context hash>` of others. */
  readonly wanted: ReadonlySet<string>
}

/** What every host is opened with. */
export interface HostOptions {
  readonly instance: string
  /** Absolute path of the state folder, as this process sees it. */
  readonly state: string
  /** Where agents connect. */
  readonly listen: { readonly host: string; readonly port: number }
  /** `GATEWAY_URL`: the same as agents write it; its host name is accepted by the proxy. */
  readonly url?: string
  /** `LOG_LEVEL` of the proxies, as in pino. */
  readonly logLevel?: string
}

/**
 * Where servers run. Each verb re-checks the world and is safe to repeat: what is already so is success.
 * A verb throws `HostDown` when the host does not answer (retried), any other error is the thing's own fault.
 */
export interface Host extends AsyncDisposable {
  /** Where a commit says what the gateway runs from, `image`; a host that can run it only from its own checkout does not heed it. */
  wantedFrom(image?: ImageSource): Wanted
  /** One look; throws `HostDown`, never returns a part. */
  observe(signal: AbortSignal): Promise<Sight>
  /** Makes `<server>@<input.hash>` exist; success means that it does. Throws `BuildFailed` with the last lines of output. */
  build(request: BuildRequest, signal: AbortSignal): Promise<void>
  /** Makes the images for edge and proxies exist: the host's own, and the commit's where it names one. Quick when there is nothing to do. */
  prepare(log: (line: string) => void, signal: AbortSignal, product?: Product): Promise<void>
  /** Makes edge stand at `wanted.address`, on its networks. Replacing one ends every open connection. */
  startEdge(signal: AbortSignal): Promise<void>
  /** Starts a proxy of spec `wantedFrom(image).proxy` beside those that run. */
  startProxy(signal: AbortSignal, image?: ImageSource): Promise<void>
  /**
   * Replaces this very controller by one that runs from the image. Where that succeeds, this process is told to end meanwhile;
   * else it resolves with why everything stays as it is.
   */
  renew(image: ImageSource, commit: string, signal: AbortSignal): Promise<string>
  /**
   * Creates (or adopts) and starts the generation's container, on its networks. Resolves once it runs, not once it is ready. One
   * that runs is put right in place: its name, its limits, its networks.
   */
  start(generation: Generation, signal: AbortSignal): Promise<void>
  /** Starts a stopped unit of this instance again. */
  resume(id: string, signal: AbortSignal): Promise<void>
  /** Asks it to end; kills it after `patience` ms, ten seconds unless told. Gone is fine. */
  stop(id: string, signal: AbortSignal, patience?: number): Promise<void>
  /** Removes a stopped unit. Gone is fine. */
  remove(id: string, signal: AbortSignal): Promise<void>
  /** Removes what a removed server leaves: its network, and builds that no container uses. Volumes stay. */
  forget(server: string, signal: AbortSignal): Promise<void>
  /** Free bytes where builds are stored; undefined where that cannot be known. */
  free(signal: AbortSignal): Promise<number | undefined>
  /** Bytes that our builds take, and those of the host's own build cache. */
  room(signal: AbortSignal): Promise<{ readonly images?: number; readonly cache?: number }>
  /** Removes old builds that nothing uses. */
  collect(keep: Keep, signal: AbortSignal): Promise<void>
  /** Last lines of a unit's output. */
  logs(id: string, tail: number, signal: AbortSignal): Promise<string>
  /** The last `tail` lines of a unit's output and what it says from then on; ends when the unit does, or with the signal. */
  follow(id: string, tail: number, signal: AbortSignal): AsyncIterable<string>
  /** Yields whenever something of this instance may have changed by itself; ends with the signal. */
  changes(signal: AbortSignal): AsyncIterable<void>
  /** Removes everything of this instance; volumes only if asked. */
  down(options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void>
}

/** How long calls may go on that a proxy has when all of it ends, ms; without calls a proxy leaves in four seconds. */
export const lastCalls = 30_000

/** The host itself does not answer: ours, retried for ever, and nothing is concluded from it. */
export class HostDown extends Error {
  override readonly name = 'HostDown'
}

/** The author's fault: not retried until the input changes. */
export class BuildFailed extends Error {
  override readonly name = 'BuildFailed'
  readonly tail: string
  constructor(message: string, tail: string) {
    super(message)
    this.tail = tail
  }
}

/** The name of a server's container or process, of `edge`'s and of a `proxy`'s: its host name on the engine, too. */
export function unitName(instance: string, of: string, spec: string): string {
  return `${instance}-${of}-${spec.slice(0, 8)}`
}

/** `host:port`, as it identifies edge. */
export function addressOf({ host, port }: HostOptions['listen']): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `<server>@<hash>`: how a table and a report name a generation. */
export function generationKey(server: string, spec: string): string {
  return `${server}@${spec}`
}
