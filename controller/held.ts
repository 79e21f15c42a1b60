import { createHash } from 'node:crypto'

/** A part of a commit that is not applied until somebody says so. */
export interface Held {
  /** What `gateway approve` is told: 8 hex digits, the same for the same part whatever commit it is in. */
  readonly plan: string
  /** In words a person would say: `removing 5 of 10 servers: …`. */
  readonly what: string
  /** Why, and what would release it. */
  readonly because: string
}

/** Whether a part that must be approved may be approved by a later commit, too; else only on the machine. */
export type Release = 'trailer' | 'socket'

export function heldPlan(...content: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 8)
}

export function howToRelease(plan: string, release: Release): string {
  const trailer = release === 'trailer' ? `, or a commit with the trailer "Gateway-Approve: ${plan}"` : ''
  return `until "gateway approve ${plan}" on the machine${trailer}`
}
