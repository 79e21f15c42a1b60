import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again until the answer is neither undefined nor false; fails with what it waited for after `limit` ms. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  limit = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const end = Date.now() + limit
  for (;;) {
    const seen = await look()
    if (isSeen(seen)) return seen
    if (Date.now() > end) throw new Error(`waited ${limit} ms in vain: ${what}`)
    await sleep(20)
  }
}

function isSeen<T>(seen: T): seen is Exclude<T, undefined | false> {
  return seen !== undefined && seen !== false
}
