import { type AgentSpec, PermissionsFile } from '#manifests/permissions.ts'
import { describeFault } from '../desired.ts'
import { check } from './check.ts'
import { join } from './manifest.ts'
import { readingPermissions } from './permissions.ts'
import { faultsOfHashes, placedHashes } from './token-hash.ts'
import { readYaml } from './yaml.ts'

export type GlassFile =
  | { readonly ok: true; readonly agents: Readonly<Record<string, AgentSpec>> }
  | { readonly ok: false; readonly faults: readonly string[] }

/** A permissions file of the machine: agents alone, and with servers that need not be there yet. */
export function readGlassFile(file: string, body: Buffer): GlassFile {
  const { manifest, faults: reading } = readYaml(file, body, readingPermissions)
  if (manifest === undefined) return { ok: false, faults: reading.map(describeFault) }
  const checked = check(manifest, PermissionsFile)
  const agents = checked.ok ? checked.value.agents : {}
  const hashes = Object.entries(agents).flatMap(([name, { token_hash }]) =>
    placedHashes(
      name,
      ['agents', name, 'token_hash'],
      token_hash.map((hash) => `sha256:${hash}`),
    ),
  )
  const outside = checked.ok && Object.keys(checked.value.servers).length > 0
  const foreign = outside
    ? [manifest.fault(['servers'], 'only agents are added from here: servers are the repository’s', 'key')]
    : []
  const faults = join(reading, [...checked.faults, ...foreign, ...faultsOfHashes(manifest, hashes)])
  return checked.ok && faults.length === 0 ? { ok: true, agents } : { ok: false, faults: faults.map(describeFault) }
}
