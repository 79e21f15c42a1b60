import { z } from 'zod'
import { PermissionsFile } from '#manifests/permissions.ts'
import type { Agent, ManifestFault } from '../desired.ts'
import { check, mostComplaints } from './check.ts'
import { expand, faultsOfGrants } from './grants.ts'
import type { Manifest } from './manifest.ts'
import { faultsOfHashes, placedHashes } from './token-hash.ts'
import type { ReadOptions } from './yaml.ts'

export interface Access {
  readonly agents: Readonly<Record<string, Agent>>
  /** Servers that run elsewhere. */
  readonly outside: PermissionsFile['servers']
}

export interface CompiledPermissions {
  /** Absent if the file has any fault. */
  readonly access?: Access
  /** Every server of the commit, whatever is in its file. */
  readonly known: ReadonlySet<string>
  readonly faults: readonly ManifestFault[]
}

/** The parts of a permissions file that can be judged although others are wrong. */
const Draft = z
  .object({
    agents: z
      .record(
        z.string(),
        z
          .looseObject({ token_hash: z.unknown(), servers: z.array(z.unknown()).catch([]) })
          .catch({ token_hash: '', servers: [] }),
      )
      .catch({}),
    servers: z.record(z.string(), z.unknown()).catch({}),
  })
  .catch({ agents: {}, servers: {} })

/** A tool's name is what stands there, be it a number. */
export const readingPermissions: ReadOptions = {
  verbatim: (path) => path[0] === 'agents' && path[2] === 'servers' && path.length === 4,
}

/** Who may call what. `files` are the servers' files, by name. */
export function compilePermissions(manifest: Manifest, files: ReadonlyMap<string, string>): CompiledPermissions {
  const checked = check(manifest, PermissionsFile)
  const draft = Draft.parse(manifest.value)
  const known = new Set([...files.keys(), ...Object.keys(draft.servers)])
  const agents = Object.entries(draft.agents)
  const faults = [
    ...checked.faults,
    ...Object.keys(draft.servers).flatMap((name) => defined(manifest, name, files.get(name))),
    ...agents
      .values()
      .flatMap(([name, { servers }]) => faultsOfGrants(manifest, ['agents', name, 'servers'], servers, known))
      .take(mostComplaints),
    ...faultsOfHashes(
      manifest,
      agents.flatMap(([name, agent]) => placedHashes(name, ['agents', name, 'token_hash'], agent.token_hash)),
    ),
  ]
  if (!checked.ok || faults.length > 0) return { known, faults }
  return { known, faults, access: { agents: admitted(checked.value, known), outside: checked.value.servers } }
}

function defined(manifest: Manifest, name: string, file: string | undefined): readonly ManifestFault[] {
  return file === undefined ? [] : [manifest.fault(['servers', name], `this server has a file too: ${file}`, 'key')]
}

function admitted({ agents }: PermissionsFile, known: ReadonlySet<string>): Readonly<Record<string, Agent>> {
  return Object.fromEntries(
    Object.entries(agents).map(([name, { token_hash, servers, expires, owner }]) => [
      name,
      { hashes: token_hash, owner, ...expand(servers, known), ...(expires === undefined ? {} : { expires }) },
    ]),
  )
}
