import { stat } from 'node:fs/promises'
import { type Compiled, describeFault, type ManifestFault } from '../desired.ts'
import { openFolder } from '../source/folder.ts'
import { compile } from './compile.ts'
import { faultOfFile } from './manifest.ts'

/** What `gateway validate` found, as lines for people and as fields for programs. */
export interface Validation {
  readonly ok: boolean
  readonly lines: readonly string[]
  readonly faults: readonly ManifestFault[]
  readonly warnings: readonly string[]
  readonly servers: readonly string[]
  readonly agents: readonly string[]
}

/** Compiles the folder that holds `manifests/`, exactly as a commit of it would be. Needs nothing but its files. */
export async function validate(folder: string, signal?: AbortSignal): Promise<Validation> {
  const there = await stat(folder).catch(() => undefined)
  if (there?.isDirectory()) return summarise(await compile(await openFolder(folder, signal), signal))
  const what = there === undefined ? 'there is no such folder' : 'this is no folder'
  return failed([faultOfFile(folder, `${what}: name the one that holds manifests/`)], [])
}

function summarise(compiled: Compiled): Validation {
  if (!compiled.ok) return failed(compiled.faults, Object.keys(compiled.agents ?? {}))
  const { warnings } = compiled.desired
  const servers = Object.keys(compiled.desired.servers)
  const agents = Object.keys(compiled.desired.agents)
  const verdict = `valid: ${count(servers.length, 'server')}, ${count(agents.length, 'agent')}`
  return {
    ok: true,
    lines: [...warnings.map((line) => `warning: ${line}`), verdict],
    faults: [],
    warnings,
    servers,
    agents,
  }
}

function failed(faults: readonly ManifestFault[], agents: readonly string[]): Validation {
  const lines = [...faults.map(describeFault), `not valid: ${count(faults.length, 'error')}`]
  return { ok: false, lines, faults, warnings: [], servers: [], agents }
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`
}
