import { expect } from 'vitest'
import { until } from '../until.ts'
import { eraOf } from './clients.ts'
import { type Feature, type FeatureName, hold, type Pair } from './features.ts'

/** What cannot be, why, and what is there instead. */
export interface Impossible {
  readonly feature: FeatureName
  readonly where: (pair: Pick<Pair, 'clientKind' | 'upstreamKind' | 'place'>) => boolean
  readonly why: string
  readonly instead: Feature
}

export const impossible: readonly Impossible[] = [
  {
    feature: 'resume',
    where: ({ clientKind }) => eraOf(clientKind) === 'modern',
    why: 'in the newer era a broken stream loses its request, which the server is told, and the next one works',
    instead: async (pair) => {
      const key = `${pair.key}-lost`
      const { outcome } = await hold(pair, key, { timeout: 2_000 })
      pair.client.cut()
      expect(await outcome).toBeInstanceOf(Error)
      await until('the server is told', () => pair.upstream.backstage.said.has(`cancelled ${key}`))
      expect(await pair.client.call(pair.place.tool('echo'), { key: 'next' })).toBe('next')
    },
  },
  {
    feature: 'DELETE',
    where: ({ clientKind }) => eraOf(clientKind) === 'modern',
    why: 'the newer era has no sessions, and the method is refused',
    instead: async ({ client, url, openOther }) => {
      expect(client.sessionId).toBeUndefined()
      const { token } = await openOther()
      const headers = { authorization: `Bearer ${token}` }
      expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(405)
    },
  },
]
