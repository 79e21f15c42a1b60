import { expect, test } from 'vitest'
import { createWire } from '../../controller/wire.ts'

test('tells each listener what is said from the moment it listens, in order', async () => {
  const end = new AbortController()
  const wire = createWire<number>()
  wire.say('before', 0)
  const one = wire.listen(60_000, end.signal)
  const other = wire.listen(60_000, end.signal)
  wire.say('a', 1)
  wire.say('b', 2)
  expect([await one.next(), await one.next()]).toEqual([
    { done: false, value: 1 },
    { done: false, value: 2 },
  ])
  expect((await other.next()).value).toBe(1)
  const later = one.next()
  wire.say('a', 3)
  expect((await later).value).toBe(3)
  end.abort()
})

test('tells a slow listener only the last of each key', async () => {
  const end = new AbortController()
  const wire = createWire<number>()
  const slow = wire.listen(60_000, end.signal)
  for (let value = 0; value < 1_000; value++) wire.say(`${value % 2}`, value)
  expect([(await slow.next()).value, (await slow.next()).value]).toEqual([998, 999])
  end.abort()
})

test('says after a silence that there is nothing, and ends with the signal', async () => {
  const end = new AbortController()
  const quiet = createWire<number>().listen(1, end.signal)
  expect(await quiet.next()).toEqual({ done: false, value: undefined })
  const last = quiet.next().then(({ value }) => value)
  end.abort()
  expect(await last).toBeUndefined()
  expect((await quiet.next()).done).toBe(true)
})
