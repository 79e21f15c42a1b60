import { DatabaseSync } from 'node:sqlite'
import type { Reception } from '../../controller/face/webhook.ts'
import type { Hint } from '../../controller/forge/delivery.ts'
import { keepDeliveries } from '../../controller/journal/deliveries.ts'

/** What stands behind a webhook, with a real memory of deliveries; it remembers what it was told. */
export interface MemoryReception extends Reception {
  readonly hints: Hint[]
  readonly outcomes: string[]
}

export function createReception(secrets: readonly string[], file = ':memory:'): MemoryReception {
  const deliveries = keepDeliveries(new DatabaseSync(file))
  const reception: MemoryReception = {
    secrets,
    branch: 'main',
    hints: [],
    outcomes: [],
    repeated: (id) => deliveries.repeated(id),
    hear: (hint) => void reception.hints.push(hint),
    count: (outcome) => void reception.outcomes.push(outcome),
  }
  return reception
}
