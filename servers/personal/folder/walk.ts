import type { Dirent } from 'node:fs'
import { lstat, opendir, readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { printOf } from './content.ts'

export interface Found {
  /** Relative to the folder, `/`-separated. */
  readonly path: string
  readonly real: string
  readonly print: string
  /** ms since 1970. */
  readonly changed: number
}

/** A folder, which may be another one of the same path later. */
export interface Place {
  readonly real: string
  readonly ino: number
}

/** A look at a folder. */
export interface View {
  /** In order of their paths. */
  readonly files: readonly Found[]
  /** Where changes are to be looked out for: all folders, and those that git keeps its state in. */
  readonly folders: readonly Place[]
  /** Paths of folders of which nothing is known now, so that nothing in them counts as gone; `''` for all. */
  readonly unknown: readonly string[]
  /** One line for each thing that was not looked into, with the reason. */
  readonly faults: readonly string[]
}

const most = { files: 20_000, depth: 12 }
const skipped = new Set(['node_modules'])

/** A lock that is older was left by a git that was killed. */
const staleLock = 10 * 60_000

const absent = 'the folder of exports is not there'

interface Trail {
  readonly root: string
  readonly files: Found[]
  readonly folders: Place[]
  readonly unknown: string[]
  readonly faults: string[]
}

/** Why a folder cannot be looked into; undefined if it can. */
export async function whyUnreadable(folder: string): Promise<string | undefined> {
  try {
    await (await opendir(folder)).close()
    return undefined
  } catch (error) {
    return reasonOf(error) === 'ENOENT' ? absent : `the folder of exports cannot be read: ${reasonOf(error)}`
  }
}

/** Lists every file in a folder, except what is hidden. Links are not followed: what they lead to inside is there itself. */
export async function walk(folder: string): Promise<View> {
  const trail: Trail = { root: await rootOf(folder), files: [], folders: [], unknown: [], faults: [] }
  if (trail.root === '') return { files: [], folders: [], unknown: [''], faults: [absent] }
  await enter(trail, trail.root, 0)
  if (trail.files.length >= most.files) trail.faults.push(`more than ${most.files} files: the rest is not looked at`)
  return { ...trail, files: trail.files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }
}

async function rootOf(folder: string): Promise<string> {
  return await realpath(folder).catch(() => '')
}

async function enter(trail: Trail, folder: string, depth: number): Promise<void> {
  const path = pathOf(trail, folder)
  await attend(trail, folder)
  const entries = await entriesOf(folder)
  if (typeof entries === 'string' || depth > most.depth) {
    trail.unknown.push(path)
    trail.faults.push(
      `${path || 'the folder'}: ${typeof entries === 'string' ? entries : `deeper than ${most.depth} folders`}`,
    )
  } else if (await isBeingPulled(folder)) {
    trail.unknown.push(path)
    trail.faults.push(`${path || 'the folder'}: git is at work in it; what was read before stays until it is done`)
  } else for (const entry of entries) await take(trail, join(folder, entry.name), entry, depth)
}

async function take(trail: Trail, real: string, entry: Dirent, depth: number): Promise<void> {
  if (entry.name === '.git' && entry.isDirectory()) await attend(trail, real)
  if (entry.name.startsWith('.') || skipped.has(entry.name) || trail.files.length >= most.files) return
  if (entry.isDirectory()) await enter(trail, real, depth + 1)
  else if (entry.isSymbolicLink()) await judgeLink(trail, real)
  else if (entry.isFile()) {
    const stamp = await lstat(real).catch(() => undefined)
    if (stamp === undefined) return
    trail.files.push({ path: pathOf(trail, real), real, print: printOf(stamp), changed: stamp.mtimeMs })
  }
}

async function attend(trail: Trail, real: string): Promise<void> {
  const stamp = await lstat(real).catch(() => undefined)
  if (stamp !== undefined) trail.folders.push({ real, ino: stamp.ino })
}

async function judgeLink(trail: Trail, link: string): Promise<void> {
  const target = await realpath(link).catch(() => undefined)
  if (target === undefined) trail.faults.push(`${pathOf(trail, link)}: a link that leads nowhere`)
  else if (!`${target}${sep}`.startsWith(trail.root + sep))
    trail.faults.push(`${pathOf(trail, link)}: a link that leaves the folder is not followed`)
}

function pathOf({ root }: Trail, real: string): string {
  return relative(root, real).split(sep).join('/')
}

async function entriesOf(folder: string): Promise<readonly Dirent[] | string> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    return `cannot be read: ${reasonOf(error)}`
  }
}

async function isBeingPulled(folder: string): Promise<boolean> {
  const lock = await lstat(join(folder, '.git', 'index.lock')).catch(() => undefined)
  return lock !== undefined && Date.now() - lock.mtimeMs < staleLock
}

/** The system's short word for an error, without paths of the machine. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
