import { definitionOf } from '#manifests/definition.ts'
import { type LockedTool, LockFile } from '#manifests/lock.ts'
import { indexNames, mentionsOf, type NameIndex, referencesOf } from '#manifests/mention.ts'
import { suspicionsOf } from '#manifests/suspect.ts'
import type { ManifestFault, Reviewed } from '../desired.ts'
import { check, mostComplaints } from './check.ts'
import type { Manifest } from './manifest.ts'
import { suggestion } from './nearest.ts'
import { type ReadOptions, readYaml } from './yaml.ts'

export interface ReadLock {
  readonly manifest?: Manifest
  /** Absent if the file has any fault of form. */
  readonly lock?: LockFile
  readonly faults: readonly ManifestFault[]
}

export interface CompiledLock {
  /** By server, sorted by name. */
  readonly locked: ReadonlyMap<string, readonly Reviewed[]>
  readonly faults: readonly ManifestFault[]
}

/** Of a tool, everything but our own keys is its server's words. */
const options: ReadOptions = {
  dollars: (path) => path.length > 2,
  names: (path) => path.length !== 1 && path.length !== 3,
}

/** `manifests/tools.lock.yaml` as it stands. */
export function readLock(file: string, body: Buffer): ReadLock {
  const { manifest, faults } = readYaml(file, body, options)
  if (manifest === undefined) return { faults }
  const checked = check(manifest, LockFile)
  const all = [...faults, ...checked.faults]
  return checked.ok && all.length === 0 ? { manifest, lock: checked.value, faults: [] } : { manifest, faults: all }
}

/** The definitions that were reviewed; `prefixes` are those of all servers of the commit, by name. */
export function compileLock({ manifest, lock, faults }: ReadLock, prefixes: ReadonlyMap<string, string>): CompiledLock {
  if (manifest === undefined || lock === undefined) return { locked: new Map(), faults }
  const servers = Object.entries(lock)
  const index = indexNames(
    servers.map(([server, tools]) => ({
      server,
      prefix: prefixes.get(server) ?? '',
      tools: new Set(Object.keys(tools)),
    })),
  )
  const strangers = servers.map(([server]) => server).filter((server) => !prefixes.has(server))
  const wrong = [
    ...strangers.slice(0, mostComplaints).map((server) => unknown(manifest, server, prefixes)),
    ...servers.flatMap(([server, tools]) =>
      Object.entries(tools).flatMap(([name, tool]) => faultsOfTool(manifest, { server, name, tool, index })),
    ),
  ]
  const locked = servers.map(([server, tools]) => [server, definitionsOf(tools)] as const)
  return { locked: new Map(locked), faults: wrong }
}

function definitionsOf(tools: LockFile[string]): readonly Reviewed[] {
  return Object.entries(tools)
    .map(([name, tool]) => ({ ...definitionOf(name, tool), ...(tool.allow && { allow: tool.allow }) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function unknown(manifest: Manifest, server: string, known: ReadonlyMap<string, string>): ManifestFault {
  const near = suggestion(server, known.keys()) || ': "gateway lock" drops what is gone'
  return manifest.fault([server], `unknown server "${server}"${near}`, 'key')
}

interface Place {
  readonly server: string
  readonly name: string
  readonly tool: LockedTool
  readonly index: NameIndex
}

function faultsOfTool(manifest: Manifest, { server, name, tool, index }: Place): readonly ManifestFault[] {
  const { hash, allow = [], ...parts } = tool
  const { hash: own } = definitionOf(name, parts)
  const found = [
    ...suspicionsOf({ [name]: parts }),
    ...referencesOf(mentionsOf({ [name]: parts }), server, index),
  ].filter(({ kind }) => !allow.includes(kind))
  const faults = found.map(({ kind, path, on, what }) =>
    manifest.fault([server, ...path], `${what}; to take it as it is, give the tool allow: [${kind}]`, on),
  )
  if (hash === own) return faults
  const message = `is not the hash of this definition, which is ${own}: let "gateway lock ${server}" write it`
  return [manifest.fault([server, name, 'hash'], message), ...faults]
}
