import { statfs } from 'node:fs/promises'
import type { Host, Keep } from '../host.ts'
import type { Engine, ListedImage } from './engine.ts'
import { builtKey, ownTags } from './image.ts'
import { labelsOf, mark } from './labels.ts'
import type { Estate } from './network.ts'

/**
 * Free bytes of the file system that images and layers lie on. Inside a container that is the one below its own root; a process
 * of the machine asks where the engine says that it stores, which another machine's engine has elsewhere.
 */
export async function freeBytes({ engine }: Estate, contained: boolean, signal: AbortSignal) {
  const folder = contained ? '/' : await engine.folder(signal)
  const found = await statfs(folder).catch(() => undefined)
  return found && found.bavail * found.bsize
}

/** Bytes that only our images take, and those of the build cache, which is the engine's and everybody's. */
export async function takenBytes({ engine, instance }: Estate, signal: AbortSignal): ReturnType<Host['room']> {
  const { images, cache } = await engine.usage(signal)
  const ours = images.filter(({ Labels }) => mark(Labels, 'instance') === instance)
  return {
    images: sum(ours.map(({ Size, SharedSize }) => Math.max(0, Size - Math.max(0, SharedSize)))),
    cache: sum(cache.map(({ Size }) => Size)),
  }
}

/** Takes our tags off old builds, which removes those that have no other and that no container uses. */
export async function collectImages({ engine, instance }: Estate, { most, wanted }: Keep, signal: AbortSignal) {
  const listed = await engine.images(labelsOf({ instance }), signal)
  const byServer = Map.groupBy(listed, ({ Labels }) => mark(Labels, 'server') ?? '')
  const crowded = [...byServer.values()].filter((images) => images.length > most)
  const old = await Promise.all(crowded.map(async (images) => (await newestFirst(engine, images, signal)).slice(most)))
  const doomed = old.flat().filter(({ Labels }) => !wanted.has(builtKey(Labels) ?? ''))
  for (const tag of ownTags(instance, doomed)) await engine.removeImage(tag, signal)
}

/** By when each got its tag: a build of which every step was known already is as old as those. */
async function newestFirst(engine: Engine, images: readonly ListedImage[], signal: AbortSignal) {
  const dated = await Promise.all(
    images.map(async (image) => {
      const found = await engine.image(image.Id, signal)
      return { image, at: Date.parse(found?.Metadata?.LastTagTime ?? '') || 0 }
    }),
  )
  return dated.toSorted((a, b) => b.at - a.at).map(({ image }) => image)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}
