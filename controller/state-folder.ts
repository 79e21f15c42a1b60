import { existsSync } from 'node:fs'
import { access, constants, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Makes the state folder where it is missing. Throws one line where it cannot be made or written. */
export async function makeState(state: string): Promise<void> {
  try {
    await makeFolder(join(state, 'run'))
    await access(state, constants.W_OK)
  } catch (cause) {
    const advice = "give a folder that the gateway's user can make and write"
    throw new Error(`GATEWAY_STATE: ${state} cannot be used (${reasonOf(cause)}); ${advice}`, { cause })
  }
}

/** Makes the folder and those above it. Node's own way of that never ends where a file system has no room for folders. */
export async function makeFolder(folder: string, mode = 0o777): Promise<void> {
  if (existsSync(folder)) return
  await makeFolder(dirname(folder), mode)
  await mkdir(folder, { mode }).catch((error: unknown) => {
    if (!existsSync(folder)) throw error
  })
}

const words: Readonly<Record<string, string>> = {
  ENOTDIR: 'a file is in the way',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return ('code' in cause ? words[String(cause.code)] : undefined) ?? cause.message
}
