import type { Status } from '#manifests/status.ts'
import type { Aim } from './aim.ts'
import { generationKey, type Host, HostDown } from './host.ts'
import { inWords } from './size.ts'

/** Builds of a server that are kept beside those in use, so that a rollback needs no build. */
const mostBuilds = 3

/** A build begins only with so many bytes free: base image, packages and layers of one take about half of it. */
export const floor = 2 * 2 ** 30

/** How long one look at the disk is good for, ms: it takes an engine with many images seconds. */
const lookEvery = 60_000

/** A build cache of so many bytes may be what lacks: layers of builds that are gone stay in it, and it is the engine's. */
const muchCache = 100 * 2 ** 20

/** No fault of the commit: what runs goes on, and the build is tried again. */
export class DiskPressure extends HostDown {}

/** Makes room for a build, of our own old ones only. Throws `DiskPressure` where that is not enough. */
export async function makeRoom(host: Pick<Host, 'free' | 'room' | 'collect'>, signal: AbortSignal): Promise<void> {
  const free = await host.free(signal)
  if (free === undefined || free >= floor) return
  await host.collect({ most: 1, wanted: new Set() }, signal)
  const then = await host.free(signal)
  if (then === undefined || then >= floor) return
  const { cache = 0 } = await host.room(signal)
  const advice = `; the engine's build cache takes ${inWords(cache)}, which "docker builder prune" frees`
  throw new DiskPressure(
    `disk pressure: ${inWords(then)} free, ${inWords(floor)} needed for a build${cache < muchCache ? '' : advice}`,
  )
}

/** Removes old builds now and then, and knows how full the disk is. */
export interface Keeper {
  readonly disk: Status['host']['disk']
  /** Looks again unless it has just done so; what fails is tried at a later look. */
  look(aim: Aim | undefined, signal: AbortSignal): Promise<void>
}

export function createKeeper(host: Pick<Host, 'free' | 'room' | 'collect'>): Keeper {
  let disk: Status['host']['disk']
  let last = Number.NEGATIVE_INFINITY
  return {
    get disk() {
      return disk
    },
    async look(aim, signal) {
      if (aim === undefined || performance.now() < last + lookEvery) return
      last = performance.now()
      try {
        await host.collect({ most: mostBuilds, wanted: wantedOf(aim) }, signal)
        const free = await host.free(signal)
        disk = { ...(await host.room(signal)), ...(free === undefined ? {} : { free }) }
      } catch {
        // A host that is down says so to the pass that asks it next.
      }
    },
  }
}

function wantedOf({ targets }: Aim): ReadonlySet<string> {
  return new Set(
    Object.values(targets).flatMap(({ server: { name, runs } }) =>
      runs.kind === 'build' ? [generationKey(name, runs.input.hash)] : [],
    ),
  )
}
