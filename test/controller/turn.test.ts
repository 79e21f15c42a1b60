import { expect, test } from 'vitest'
import { createTroubles } from '../../controller/troubles.ts'
import { createTurn } from '../../controller/turn.ts'

const never = new AbortController().signal

test('lets one work at a time, in the order of asking', async () => {
  const turn = createTurn()
  const log: string[] = []
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const works = gates.map(({ promise }, at) =>
    turn.take(async () => {
      log.push(`${at} begins`)
      await promise
      log.push(`${at} ends`)
      return at
    }, never),
  )
  for (const { resolve } of gates.toReversed()) resolve()
  expect(await Promise.all(works)).toEqual([0, 1, 2])
  expect(log).toEqual(['0 begins', '0 ends', '1 begins', '1 ends', '2 begins', '2 ends'])
})

test('goes on after work that failed', async () => {
  const turn = createTurn()
  const failed = turn.take(() => Promise.reject(new Error('no')), never)
  const next = turn.take(async () => 'done', never)
  await expect(failed).rejects.toThrow('no')
  expect(await next).toBe('done')
})

test('ends a wait with its signal while another works, and keeps the order of the rest', async () => {
  const turn = createTurn()
  const first = Promise.withResolvers<void>()
  const log: string[] = []
  const working = turn.take(() => first.promise, never)
  const leaving = new AbortController()
  const waiting = turn.take(async () => void log.push('never'), leaving.signal)
  const last = turn.take(async () => void log.push('last'), never)
  leaving.abort(new Error('superseded'))
  await expect(waiting).rejects.toThrow('superseded')
  expect(log).toEqual([])
  first.resolve()
  await Promise.all([working, last])
  expect(log).toEqual(['last'])
})

test('waits longer after each failure of a lane, and starts anew once that has ended', () => {
  const troubles = createTroubles()
  const first = troubles.add('wiki', 'no engine')
  const third = [troubles.add('wiki', 'no engine'), troubles.add('wiki', 'still none')].at(-1) ?? 0
  expect(third).toBeGreaterThan(2 * first)
  expect(troubles.reasons).toEqual(new Map([['wiki', 'still none']]))
  troubles.end('wiki')
  expect(troubles.reasons.size).toBe(0)
  expect(troubles.add('wiki', 'again')).toBeLessThanOrEqual(1_000)
})

test('forgets the troubles of lanes that have nothing left to do', () => {
  const troubles = createTroubles()
  troubles.add('wiki', 'no')
  troubles.add('chess', 'no')
  troubles.keep(new Set(['chess', 'other']))
  expect([...troubles.reasons.keys()]).toEqual(['chess'])
})
