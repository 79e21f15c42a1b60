import { stat } from 'node:fs/promises'
import { setInterval as ticks } from 'node:timers/promises'
import type { Config } from './config/config.ts'
import { readSecrets, sealer } from './config/secrets.ts'
import type { Machine } from './generation.ts'
import { wrapperHash } from './stdio.ts'
import { openBreakGlass } from './trust/break-glass.ts'

/** How often the secrets file is looked at, ms. */
const lookEvery = 1_000

/** Who has just written a file, ms ago, may not have written all of it. */
const settling = 500

const gone = 'is no longer there; what runs goes on with what it was given'

/** What the machine adds to a commit, read anew for each pass: a secrets file that cannot be read holds who needs it. */
export async function openMachine({
  instance,
  secrets: file,
  mounts,
  state,
  breakGlass,
}: Pick<Config, 'instance' | 'secrets' | 'mounts' | 'state' | 'breakGlass'>): Promise<() => Promise<Machine>> {
  const { hmac: seal } = await sealer(state)
  const fixed = {
    ...{ instance, mounts: new Map(Object.entries(mounts)), seal, secretsFile: file },
    stdio: await wrapperHash(),
  }
  const look = breakGlass === undefined ? undefined : openBreakGlass(breakGlass, state)
  const read = createReader(file)
  return async () => {
    const glass = look === undefined ? {} : { glass: await look() }
    return { ...fixed, ...glass, ...(await read()) }
  }
}

/**
 * Reads the file as whoever writes it has left it: the half of a value would pass for the value. What was read last is kept beside
 * the reason why it cannot be read now.
 */
function createReader(file: string): () => Promise<Pick<Machine, 'secrets' | 'secretsFault'>> {
  let last: { readonly stamp: string; readonly secrets: Machine['secrets'] } = { stamp: absent, secrets: new Map() }
  return async () => {
    const { stamp, age } = await lookAt(file)
    const { secrets, stamp: before } = last
    if (before !== absent && stamp !== before && age >= 0 && age < settling) return { secrets }
    if (before !== absent && stamp === absent) return { secrets, secretsFault: `${file}: ${gone}` }
    try {
      const read = await readSecrets(file)
      if ((await lookAt(file)).stamp === stamp) last = { stamp, secrets: read }
      return { secrets: before === absent ? read : last.secrets }
    } catch (error) {
      return { secrets, secretsFault: error instanceof Error ? error.message : String(error) }
    }
  }
}

/**
 * Yields whenever one of these files became another one, and once more when it has been left alone since; a folder's watcher would
 * miss what a container's mount changes.
 */
export async function* fileChanges(files: readonly string[], signal: AbortSignal): AsyncIterable<void> {
  let before = await stamps(files)
  let wasNew = false
  for await (const _ of untilAborted(signal)) {
    const now = await stamps(files)
    const isNew = now !== before
    if (isNew || wasNew) yield
    before = now
    wasNew = isNew
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
  return (await Promise.all(files.map(lookAt))).map(({ stamp }) => stamp).join('\n')
}

const absent = 'absent'

/** What tells one state of a file from another, and how long ago it was written, ms. */
async function lookAt(file: string): Promise<{ readonly stamp: string; readonly age: number }> {
  return stat(file).then(
    ({ ino, mtimeMs, size }) => ({ stamp: `${ino} ${mtimeMs} ${size}`, age: Date.now() - mtimeMs }),
    () => ({ stamp: absent, age: Number.POSITIVE_INFINITY }),
  )
}
