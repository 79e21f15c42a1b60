import { EventEmitter, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../kit/log.ts'
import type { Album } from './album.ts'
import { fetchPicture } from './fetch-picture.ts'
import type { Ledger } from './ledger.ts'
import type { Guard } from './public-address.ts'
import { lookLimit, type Service } from './service.ts'
import type { NamedTask, Picture } from './task.ts'

/** What keeps an eye on tasks until their pictures are here. */
export interface Watch {
  /** Looks at a task again and again, and fetches what it made; does nothing where that is done already. */
  follow(id: string): void
  /** Waits for news of a task: a look at it, or a picture that is here. At most so many ms, or until the signal. */
  news(id: string, limit: number, signal: AbortSignal): Promise<void>
  /** The first look at a task has ended so long after it was followed, ms. */
  readonly firstLook: number
  close(): Promise<void>
}

export interface Parts {
  readonly service: Service
  readonly ledger: Ledger
  readonly album: Album
  readonly guard: Guard
  /** The longest time between two looks in a task's first minutes, ms. */
  readonly poll: number
}

/** The service keeps pictures so long, ms. */
const serviceKeeps = 15 * 24 * 3_600_000

export function createWatch(parts: Parts): Watch {
  const stop = new AbortController()
  const news = new EventEmitter().setMaxListeners(0)
  const followed = new Map<string, Promise<void>>()
  const first = parts.poll / 6
  const follow = (id: string) => {
    if (followed.has(id) || stop.signal.aborted) return
    const end = keepLooking(id, { ...parts, news, first, signal: stop.signal })
      .catch((error: unknown) => {
        if (!stop.signal.aborted) log.error({ err: error, task: id }, 'a task is not followed any more')
      })
      .finally(() => followed.delete(id))
    followed.set(id, end)
  }
  return {
    follow,
    firstLook: first + lookLimit,
    news: async (id, limit, signal) => {
      const end = AbortSignal.any([signal, stop.signal, AbortSignal.timeout(Math.max(0, Math.ceil(limit)))])
      await once(news, id, { signal: end }).catch(() => undefined)
    },
    close: async () => {
      stop.abort()
      await Promise.all(followed.values())
    },
  }
}

interface Following extends Parts {
  readonly news: EventEmitter
  readonly first: number
  readonly signal: AbortSignal
}

/** Ends when there is nothing to look for any more. */
async function keepLooking(id: string, following: Following): Promise<void> {
  const { ledger, album, news, signal } = following
  const missing = () => album.of(id).filter(({ keeping }) => keeping === 'waiting')
  for (let task = ledger.find(id); task?.state === 'running'; task = ledger.find(id)) {
    await sleep(pauseAt(Date.now() - task.sent, following), undefined, { signal })
    await look(task, following)
    news.emit(id)
  }
  const done = ledger.find(id)
  while (done !== undefined && missing().length > 0) {
    for (const picture of missing()) await fetchOne(picture, done, following)
    if (missing().length > 0)
      await sleep(pauseAt(Date.now() - (done.ended ?? done.sent), following), undefined, { signal })
  }
}

/** Half of its age, then `poll`; and for what does not end, ever more seldom. */
function pauseAt(age: number, { first, poll }: Following): number {
  return Math.max(first, Math.min(age / 2, poll), age / 20)
}

async function look(task: NamedTask, { service, ledger, album, signal }: Following): Promise<void> {
  const { id } = task
  const seen = await service.look(id, signal)
  signal.throwIfAborted()
  switch (seen.kind) {
    case 'running':
      return ledger.note(id, '')
    case 'done':
      album.expect(id, seen.urls)
      ledger.finish(id)
      return log.info({ task: id, pictures: seen.urls.length }, 'task done')
    case 'failed':
      ledger.fail(id, seen.reason)
      return log.warn({ task: id, reason: seen.reason }, 'task failed')
    case 'silent':
      log.warn({ task: id, reason: seen.reason }, 'no answer about a task')
      if (isTooOld(task.sent)) return ledger.fail(id, `it was not heard of in time; at last: ${seen.reason}`)
      return ledger.note(id, seen.reason)
    default:
      return seen satisfies never
  }
}

async function fetchOne(picture: Picture, task: NamedTask, { album, guard, news, signal }: Following): Promise<void> {
  try {
    const { type, bytes } = await fetchPicture(picture.url, guard, signal)
    await album.keep(picture, type, bytes)
  } catch (error) {
    signal.throwIfAborted()
    const reason = whyOf(error)
    log.warn({ task: picture.task, picture: picture.number, reason }, 'a picture is not here yet')
    album.miss(picture, reason, isTooOld(task.ended ?? task.sent) ? 'lost' : 'waiting')
  }
  news.emit(picture.task)
}

function isTooOld(since: number): boolean {
  return Date.now() - since > serviceKeeps
}

/** `fetch` says only that it failed; why is in the cause. */
function whyOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}
