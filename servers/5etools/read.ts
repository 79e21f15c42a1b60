import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join, relative, sep } from 'node:path'
import { type Fields, isFields } from './fields.ts'

/** What a folder of data holds, as it stands. */
export interface Files {
  /** Each file's JSON object; paths are relative to the folder, `/`-separated and in order. */
  readonly files: ReadonlyMap<string, Fields>
  /** One line for each file that was skipped, with the reason. */
  readonly faults: readonly string[]
}

const most = { files: 3_000, bytes: 64 * 1024 * 1024, depth: 4 }

/** Whole books and what is derived from other files: read by people, not looked up. */
const skippedFolders = new Set(['adventure', 'book', 'generated', 'node_modules'])
const skippedFiles = /^(fluff-|foundry-|adventures\.json|changelog\.json)/

/**
 * Reads every JSON file of `<folder>/data`, or of the folder itself. A file that cannot be read is a fault, never a
 * failure; a link that leaves the folder is not followed.
 */
export async function readFiles(folder: string): Promise<Files> {
  const faults: string[] = []
  const files = new Map<string, Fields>()
  const root = await rootOf(folder)
  if (root === undefined) return { files, faults: [`${folder}: no such folder`] }
  for (const path of (await walk(root, faults)).sort()) {
    const name = relative(root, path).split(sep).join('/')
    const content = await readJson(root, path)
    if (typeof content === 'string') faults.push(`${name}: ${content}`)
    else files.set(name, content)
  }
  return { files, faults }
}

async function rootOf(folder: string): Promise<string | undefined> {
  for (const path of [join(folder, 'data'), folder]) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory()) return await realpath(path)
  }
}

async function walk(folder: string, faults: string[], depth = 0): Promise<string[]> {
  const found: string[] = []
  for (const entry of await entriesOf(folder, faults)) {
    const path = join(folder, entry.name)
    if (entry.name.startsWith('.')) continue
    if (entry.isDirectory()) {
      if (!skippedFolders.has(entry.name) && depth < most.depth) found.push(...(await walk(path, faults, depth + 1)))
    } else if (entry.name.endsWith('.json') && !skippedFiles.test(entry.name)) found.push(path)
  }
  if (found.length <= most.files) return found
  if (depth === 0) faults.push(`${found.length} files: only the first ${most.files} are read`)
  return found.slice(0, most.files)
}

async function entriesOf(folder: string, faults: string[]): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    faults.push(`${basename(folder)}: cannot be read: ${reasonOf(error)}`)
    return []
  }
}

async function readJson(root: string, path: string): Promise<Fields | string> {
  try {
    const real = await realpath(path)
    if (!real.startsWith(root + sep)) return 'a link that leaves the data folder'
    const found = await stat(real)
    if (!found.isFile()) return 'not a file'
    if (found.size > most.bytes) return `${found.size} bytes, more than ${most.bytes}`
    const content: unknown = JSON.parse(await readFile(real, 'utf8'))
    return isFields(content) ? content : 'not a JSON object'
  } catch (error) {
    return error instanceof SyntaxError ? `not JSON: ${error.message}` : `cannot be read: ${reasonOf(error)}`
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
