import type { Definition } from '#manifests/definition.ts'
import type { NoticeKind } from '#manifests/gateway.ts'
import type { SuspectKind } from '#manifests/suspect.ts'
import type { Budget, Grant } from '#manifests/table.ts'

/** A file of the commit's tree, as git lists it. */
export interface TreeEntry {
  /** Relative to the tree's root (`GATEWAY_PATH`), `/`-separated. */
  readonly path: string
  readonly mode: string
  readonly oid: string
  /** Bytes; 0 for a submodule. */
  readonly size: number
}

/** Everything that compiling reads: a commit, or a folder on disk. */
export interface Tree {
  /** 40 or 64 hex digits of the commit, or `worktree`. */
  readonly commit: string
  list(): Promise<readonly TreeEntry[]>
  /** Contents of blobs in the order asked. */
  read(oids: readonly string[], signal?: AbortSignal): AsyncIterable<Buffer>
}

/** What an image is built from. Equal `hash` means equal image; it changes with content only. */
export interface BuildInput {
  /** 64 hex digits over the files' `mode path oid` lines, the Dockerfile's path or text, args and target. */
  readonly hash: string
  /** Folder of the tree that is the build context, `` for the root. */
  readonly context: string
  /** Paths below the context that are sent; empty means all of it. */
  readonly paths: readonly string[]
  readonly dockerfile: { readonly path: string } | { readonly inline: string }
  readonly args: Readonly<Record<string, string>>
  readonly target?: string
  /** Sorted by path, which is relative to the context; `.dockerignore` applied. */
  readonly files: readonly TreeEntry[]
}

export interface Agent {
  /** 64 lower-case hex digits each. */
  readonly hashes: readonly string[]
  readonly expires?: string
  readonly owner: boolean
  /** By server; `*` is expanded. */
  readonly grants: Readonly<Record<string, Grant>>
  /** Whether it has `*`: every server of the commit. */
  readonly every: boolean
  /** Servers that it has only through `*`. */
  readonly through: readonly string[]
}

/** A server of the commit, parsed: durations in ms, memory in bytes, defaults filled in. */
export interface Server {
  readonly name: string
  readonly description: string
  readonly runs:
    | { readonly kind: 'build'; readonly input: BuildInput }
    | { readonly kind: 'image'; readonly ref: string }
    | { readonly kind: 'url'; readonly url: string }
  readonly command?: readonly string[]
  /** It speaks MCP on stdin and stdout: so many programs at once, each ended after so many ms without a message. */
  readonly stdio?: { readonly sessions: number; readonly idle: number }
  readonly port: number
  readonly path: string
  readonly health?: string
  readonly start: number
  readonly timeout: number
  readonly drain: number
  readonly env: Readonly<Record<string, string>>
  /** Variable → name in the secrets file. */
  readonly secrets: Readonly<Record<string, string>>
  readonly volumes: readonly { readonly source: string; readonly target: string; readonly shared: boolean }[]
  /** `source` is a name that the machine's operator offers. */
  readonly mounts: readonly { readonly source: string; readonly target: string }[]
  readonly limits: { readonly memory: number; readonly cpus: number; readonly pids: number }
  readonly egress: boolean
  readonly user?: string
  readonly tmpfs: readonly string[]
  readonly seccomp: 'default' | 'chromium'
  readonly prefix: string
  /** Its tools as they were reviewed, sorted by name; absent where nothing of it is pinned. */
  readonly lock?: Lock
  /** The credential that a server at a url is sent: `secret` is a name in the secrets file. */
  readonly auth?: { readonly secret: string; readonly header: string; readonly scheme: string }
  /** Calls that all agents share, by name; absent where there is no budget. */
  readonly budgets?: Readonly<Record<string, Budget>>
  /** Hash of what makes a container what it is, beside its image and its secrets' values. */
  readonly config: string
  /** Hash of what only the table carries: path, health, timeouts, prefix, description, budgets, and how it is asked. */
  readonly route: string
  /** What loosens the defaults, each in words a person would say: `runs as root (user: 0)`. */
  readonly loosens: readonly string[]
}

/** A definition, and the kinds of suspicion that were looked at. */
export type Reviewed = Definition & { readonly allow?: readonly SuspectKind[] }

export interface Lock {
  /** What happens to a tool that differs. */
  readonly mode: 'warn' | 'hold' | 'block'
  readonly tools: readonly Reviewed[]
}

/** An image that is built from the commit, or one of a registry by its digest. */
export type ImageSource =
  | { readonly kind: 'built'; readonly input: BuildInput }
  | { readonly kind: 'ref'; readonly ref: string }

/** `manifests/gateway.yaml`, with its defaults: the gateway itself. */
export interface Settings {
  /** What the gateway itself runs from; absent where that is the image that the controller came in. */
  readonly product?: ImageSource
  /** How long a new generation is watched before the old one is stopped, ms. */
  readonly bake: number
  readonly prune: {
    /** Share of the servers that one commit may remove without approval, 0 to 1; one in any case. */
    readonly most: number
    /** How long a removed server is kept, stopped, ms. */
    readonly grace: number
  }
  /** What a commit that widens access needs. */
  readonly governance?: { readonly approvals: number }
  /** Who is told when something breaks. */
  readonly notifications?: Notifications
}

/** Where a notice goes: an address that everybody may read, or the name of a secret that is one. */
export interface NoticeAddress {
  readonly url?: string
  readonly secret?: string
}

export interface Notifications {
  readonly webhook?: NoticeAddress
  readonly ntfy?: NoticeAddress & { readonly token?: string }
  readonly about: readonly NoticeKind[]
  /** Notices an hour. */
  readonly most: number
}

/** What a commit says should be so. */
export interface Desired {
  readonly commit: string
  readonly agents: Readonly<Record<string, Agent>>
  readonly servers: Readonly<Record<string, Server>>
  readonly settings: Settings
  /** What is allowed and probably not meant, a line each. */
  readonly warnings: readonly string[]
}

/** The committer must act; there is no retry. Prints as `file:line:column where: what`. */
export interface ManifestFault {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Path inside the document, for example `agents.agent-b.servers[0]`; empty for the whole file. */
  readonly at: string
  /** What was found, what is allowed, and the nearest valid name for a typo. */
  readonly message: string
}

export type Compiled =
  | { readonly ok: true; readonly desired: Desired }
  | {
      readonly ok: false
      readonly faults: readonly ManifestFault[]
      /** The agents, if `permissions.yaml` is itself without error: what it takes away is applied at once. */
      readonly agents?: Readonly<Record<string, Agent>>
    }

export function describeFault({ file, line, column, at, message }: ManifestFault): string {
  return `${file}:${line}:${column} ${at === '' ? '' : `${at}: `}${message}`
}
