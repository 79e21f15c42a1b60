import { GrantEntry } from '#manifests/permissions.ts'
import type { Agent, ManifestFault } from '../desired.ts'
import type { Manifest, Path } from './manifest.ts'
import { suggestion } from './nearest.ts'

/** Faults of an agent's `servers` that only the whole commit shows: unknown servers, and one named twice. */
export function* faultsOfGrants(
  manifest: Manifest,
  path: Path,
  entries: readonly unknown[],
  known: ReadonlySet<string>,
): Generator<ManifestFault, void> {
  const seen = new Set<string>()
  const everything = entries.includes('*')
  for (const [index, raw] of entries.entries()) {
    const entry = GrantEntry.safeParse(raw).data
    if (entry === undefined) continue
    const wrong = wrongEntry(entry, { seen, known, everything })
    const at = entry.all ? [...path, index] : [...path, index, entry.server]
    if (wrong !== undefined) yield manifest.fault(at, wrong, entry.all ? 'value' : 'key')
    seen.add(entry.server)
  }
}

interface Beside {
  readonly seen: ReadonlySet<string>
  readonly known: ReadonlySet<string>
  readonly everything: boolean
}

function wrongEntry({ server, all }: GrantEntry, { seen, known, everything }: Beside): string | undefined {
  if (seen.has(server)) return `"${server}" is in this list already`
  if (server === '*') return all ? undefined : '"*" is every server whole: name the ones to narrow'
  if (!known.has(server)) return `unknown server ${JSON.stringify(server.slice(0, 60))}${hint(server, known)}`
  if (everything && !all) return `"*" grants all of "${server}" already: without "*", name each server`
}

function hint(server: string, known: ReadonlySet<string>): string {
  const near = suggestion(server, known)
  if (near !== '') return near
  return known.size === 0 ? ' (this commit has none)' : ` (known: ${[...known].sort().slice(0, 20).join(', ')})`
}

/** Grants by server, with `*` expanded, and which servers come only through it. */
export function expand(
  entries: readonly GrantEntry[],
  known: ReadonlySet<string>,
): Pick<Agent, 'grants' | 'through' | 'every'> {
  const named = new Map(entries.map(({ server, grant }) => [server, grant]))
  const star = named.get('*')
  named.delete('*')
  const through = star === undefined ? [] : [...known].filter((server) => !named.has(server)).sort()
  const all = [
    ...named,
    ...through.map((server) => [server, star ?? { tools: [], prompts: [], resources: [] }] as const),
  ]
  return { grants: Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1))), through, every: star !== undefined }
}
