import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentSpec } from '#manifests/permissions.ts'
import type { Table } from '#manifests/table.ts'
import { admit } from '../admission.ts'
import { readGlassFile } from '../compile/break-glass-file.ts'
import { expand } from '../compile/grants.ts'
import type { Agent } from '../desired.ts'

/** Who is let in whatever the repository says. */
export interface Glass {
  readonly agents: Readonly<Record<string, AgentSpec>>
  /** Whether the file is as it should be; the agents are the last good ones. */
  readonly ok: boolean
  readonly reason: string
}

type Agents = Readonly<Record<string, Agent>>

/** Before a name that the operator gave: no agent of a repository can be called so. */
const mark = 'break-glass/'

/**
 * Gives who is let in now, read anew each time. A file that is wrong lets in whom the last right one let in, also after a restart;
 * one that is not there lets in nobody.
 */
export function openBreakGlass(file: string, state: string): () => Promise<Glass> {
  const kept = join(state, 'break-glass.yaml')
  let last: Buffer | undefined
  return async () => {
    const body = await readFile(file).catch((cause: unknown) => unreadable(cause))
    if (body === 'ENOENT') return { agents: {}, ok: false, reason: `${file}: is not there; no agent is let in by it` }
    const read = typeof body === 'string' ? body : readGlassFile(file, body)
    if (typeof body !== 'string' && typeof read !== 'string' && read.ok) {
      if (last?.equals(body) !== true) await keep(kept, body)
      last = body
      return { agents: read.agents, ok: true, reason: namesOf(read.agents) }
    }
    const wrong = typeof read === 'string' ? `${file}: cannot be read (${read})` : faultsOf(read)
    const before = readGlassFile(kept, await readFile(kept).catch(() => Buffer.from('agents: {}\n')))
    return { agents: before.ok ? before.agents : {}, ok: false, reason: `${wrong}; the last right one counts` }
  }
}

function faultsOf(read: ReturnType<typeof readGlassFile>): string {
  return read.ok ? '' : read.faults.slice(0, 5).join('; ')
}

function namesOf(agents: Glass['agents']): string {
  return `lets in ${Object.keys(agents).join(', ') || 'nobody'}`
}

function unreadable(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
}

async function keep(file: string, body: Buffer): Promise<void> {
  await writeFile(`${file}.new`, body, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/**
 * Adds who is let in anyway, under names that no repository can give; `*` is every server there is. A token of theirs is theirs
 * alone: a repository that gives it to an agent of its own narrows nobody. Pure.
 */
export function withBreakGlass(agents: Agents, glass: Glass | undefined, servers: Iterable<string>): Agents {
  if (glass === undefined || Object.keys(glass.agents).length === 0) return agents
  const own = glassAgents(glass, servers)
  const taken = new Set(Object.values(own).flatMap(({ hashes }) => hashes))
  const others = Object.entries(agents).flatMap(([name, agent]) => {
    const hashes = agent.hashes.filter((hash) => !taken.has(hash))
    if (hashes.length === agent.hashes.length) return [[name, agent] as const]
    return hashes.length === 0 ? [] : [[name, { ...agent, hashes }] as const]
  })
  return { ...Object.fromEntries(others), ...own }
}

/** The same for a table alone, while it is not known what the repository says. Pure. */
export function letIn<T extends Pick<Table, 'agents' | 'servers'>>(draft: T, glass: Glass | undefined): T {
  const others = Object.entries(draft.agents).filter(([name]) => !name.startsWith(mark))
  const servers = new Set(Object.keys(draft.servers))
  const own = glass === undefined ? {} : admit({}, glassAgents(glass, servers), servers)
  return { ...draft, agents: { ...Object.fromEntries(others), ...own } }
}

function glassAgents({ agents }: Glass, servers: Iterable<string>): Agents {
  const known = new Set(servers)
  return Object.fromEntries(
    Object.entries(agents).map(([name, { token_hash, servers: entries, expires, owner }]) => {
      const { grants, ...star } = expand(entries, known)
      const there = Object.fromEntries(Object.entries(grants).filter(([server]) => known.has(server)))
      const until = expires === undefined ? {} : { expires }
      return [`${mark}${name}`, { hashes: token_hash, owner, grants: there, ...star, ...until }]
    }),
  )
}
