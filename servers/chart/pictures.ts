import { randomUUID } from 'node:crypto'

/** How long pictures are kept, and how many bytes of them: the oldest go first. */
const keep = { milliseconds: 3_600_000, bytes: 64e6 }

/** Pictures by names that nobody guesses. */
export interface Pictures {
  /** @returns the name. */
  add(png: Buffer): string
  get(name: string): Buffer | undefined
}

export function openPictures(limits = keep, now: () => number = Date.now): Pictures {
  const kept = new Map<string, { readonly png: Buffer; readonly until: number }>()
  let bytes = 0
  const drop = (name: string, png: Buffer) => {
    kept.delete(name)
    bytes -= png.length
  }
  const tidy = () => {
    for (const [name, { png, until }] of kept) {
      if (until > now() && bytes <= limits.bytes) return
      drop(name, png)
    }
  }
  return {
    add: (png) => {
      const name = randomUUID()
      kept.set(name, { png, until: now() + limits.milliseconds })
      bytes += png.length
      tidy()
      return name
    },
    get: (name) => {
      tidy()
      return kept.get(name)?.png
    },
  }
}
