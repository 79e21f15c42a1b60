import { expect } from 'vitest'
import { until } from '../until.ts'
import { eraOf } from './clients.ts'
import { type Feature, type FeatureName, hold, knowsEnd, type Pair, said } from './features.ts'

/** What cannot be, why, and what is there instead. The first that fits a cell holds. */
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
      const stop = new AbortController()
      const key = `${pair.key}-lost`
      const { outcome } = await hold(pair, key, { signal: stop.signal })
      pair.client.cut()
      await knowsEnd(pair, key)
      expect(await pair.client.call(pair.place.tool('echo'), { key: 'next' })).toBe('next')
      stop.abort()
      expect(await outcome).toBeInstanceOf(Error)
    },
  },
  {
    feature: 'resume',
    where: ({ upstreamKind, place }) => upstreamKind === 'stdio' && place.path !== '/mcp',
    why: 'the wrapper offers none, so that only the answer of that one call is lost; at the joint endpoint the gateway does',
    instead: async (pair) => {
      const stop = new AbortController()
      const key = `${pair.key}-lost`
      const { outcome } = await hold(pair, key, { signal: stop.signal })
      pair.client.cut()
      pair.upstream.backstage.cue(`release ${key}`)
      await until('the call is over', () => said(pair, `released ${key}`))
      expect(await pair.client.call(pair.place.tool('echo'), { key: 'next' })).toBe('next')
      stop.abort()
      expect(await outcome).toBeInstanceOf(Error)
    },
  },
  {
    feature: 'DELETE',
    where: ({ clientKind }) => eraOf(clientKind) === 'modern',
    why: 'the newer era has no sessions, and the method is refused',
    instead: async ({ client, url, openOther }) => {
      expect(client.sessionId).toBeUndefined()
      const { client: other, token } = await openOther()
      const headers = { authorization: `Bearer ${token}` }
      expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(405)
      await other[Symbol.asyncDispose]()
    },
  },
]
