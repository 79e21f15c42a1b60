import type { Wiki } from './wiki.ts'

/** ms that an answer stands: many may ask, and Outline counts requests. */
const stands = { good: 30_000, bad: 3_000 }

/** Why the tools cannot work now, or nothing; asked of Outline now and then. */
export function createReadiness({ check }: Wiki): () => Promise<string | undefined> {
  let reason: string | undefined
  let until = 0
  let asking: Promise<string | undefined> | undefined
  const ask = async () => {
    reason = await check()
    until = performance.now() + (reason === undefined ? stands.good : stands.bad)
    return reason
  }
  return async () => {
    if (performance.now() < until) return reason
    asking ??= ask().finally(() => {
      asking = undefined
    })
    return await asking
  }
}
