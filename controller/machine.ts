import { stat } from 'node:fs/promises'
import { setInterval as ticks } from 'node:timers/promises'
import type { Config } from './config/config.ts'
import { readSecrets, sealer } from './config/secrets.ts'
import type { Machine } from './generation.ts'

/** How often the secrets file is looked at, ms. */
const lookEvery = 2_000

/** What the machine adds to a commit, read anew for each pass: a secrets file that cannot be read holds who needs it. */
export async function openMachine({
  instance,
  secrets: file,
  mounts,
  state,
}: Pick<Config, 'instance' | 'secrets' | 'mounts' | 'state'>): Promise<() => Promise<Machine>> {
  const { hmac: seal } = await sealer(state)
  const fixed = { instance, mounts: new Map(Object.entries(mounts)), seal, secretsFile: file }
  return async () => {
    try {
      return { ...fixed, secrets: await readSecrets(file) }
    } catch (error) {
      const secretsFault = error instanceof Error ? error.message : String(error)
      return { ...fixed, secrets: new Map(), secretsFault }
    }
  }
}

/** Yields whenever the secrets file became another one; a folder's watcher would miss what a container's mount changes. */
export async function* secretsChanges(file: string, signal: AbortSignal): AsyncIterable<void> {
  let before = await stamp(file)
  for await (const _ of untilAborted(signal)) {
    const now = await stamp(file)
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

async function stamp(file: string): Promise<string> {
  return stat(file).then(
    ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
    () => 'absent',
  )
}
