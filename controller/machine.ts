import { stat } from 'node:fs/promises'
import { setInterval as ticks } from 'node:timers/promises'
import type { Config } from './config/config.ts'
import { readSecrets, sealer } from './config/secrets.ts'
import type { Machine } from './generation.ts'
import { openBreakGlass } from './trust/break-glass.ts'

/** How often the secrets file is looked at, ms. */
const lookEvery = 2_000

/** What the machine adds to a commit, read anew for each pass: a secrets file that cannot be read holds who needs it. */
export async function openMachine({
  instance,
  secrets: file,
  mounts,
  state,
  breakGlass,
}: Pick<Config, 'instance' | 'secrets' | 'mounts' | 'state' | 'breakGlass'>): Promise<() => Promise<Machine>> {
  const { hmac: seal } = await sealer(state)
  const fixed = { instance, mounts: new Map(Object.entries(mounts)), seal, secretsFile: file }
  const look = breakGlass === undefined ? undefined : openBreakGlass(breakGlass, state)
  return async () => {
    const glass = look === undefined ? {} : { glass: await look() }
    try {
      return { ...fixed, ...glass, secrets: await readSecrets(file) }
    } catch (error) {
      const secretsFault = error instanceof Error ? error.message : String(error)
      return { ...fixed, ...glass, secrets: new Map(), secretsFault }
    }
  }
}

/** Yields whenever one of these files became another one; a folder's watcher would miss what a container's mount changes. */
export async function* fileChanges(files: readonly string[], signal: AbortSignal): AsyncIterable<void> {
  let before = await stamps(files)
  for await (const _ of untilAborted(signal)) {
    const now = await stamps(files)
    if (now !== before) yield
    before = now
  }
}

async function* untilAborted(signal: AbortSignal): AsyncIterable<void> {
  try {
    for await (const _ of ticks(lookEvery, undefined, { signal })) yield
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function stamps(files: readonly string[]): Promise<string> {
  return (await Promise.all(files.map(stamp))).join('\n')
}

async function stamp(file: string): Promise<string> {
  return stat(file).then(
    ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
    () => 'absent',
  )
}
