import { expect, test } from 'vitest'
import { createLanes } from '../../controller/lanes.ts'
import { createQueue } from '../../controller/queue.ts'

const never = new AbortController().signal

test('remembers one pending run per key, however often it is added', async () => {
  const runs: string[] = []
  const first = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const queue = createQueue(async (key) => {
    runs.push(key)
    started.resolve()
    if (runs.length === 1) await first.promise
  })
  queue.add('pass')
  await started.promise
  for (let i = 0; i < 50; i++) queue.add('pass')
  first.resolve()
  await expect.poll(() => runs.length).toBe(2)
  await queue.close()
  expect(runs).toEqual(['pass', 'pass'])
})

test('ends what runs when it is closed, and ignores later keys', async () => {
  let runs = 0
  const queue = createQueue(async (_, signal) => {
    runs++
    await new Promise<void>((done) => signal.addEventListener('abort', () => done()))
  })
  queue.add('pass')
  await queue.close()
  queue.add('pass')
  expect(runs).toBe(1)
})

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

test('leaves work of the same identity alone and supersedes any other', async () => {
  const log: string[] = []
  const lanes = createLanes(
    (lane, error) => log.push(`${lane} ended${error === undefined ? '' : ' badly'}`),
    () => {},
  )
  lanes.enter('outline', 'one', async (_, signal) => {
    log.push('one starts')
    await untilAborted(signal).finally(() => log.push('one ends'))
  })
  lanes.enter('outline', 'one', async () => void log.push('never'))
  await expect.poll(() => log).toEqual(['one starts'])
  lanes.enter('outline', 'two', async () => void log.push('two'))
  await lanes.settled('outline', never)
  expect(log).toEqual(['one starts', 'one ends', 'two', 'outline ended'])
})

test('keeps lanes apart', async () => {
  const ended: string[] = []
  const lanes = createLanes(
    (lane) => ended.push(lane),
    () => {},
  )
  lanes.enter('slow', '1', (_, signal) => untilAborted(signal))
  lanes.enter('quick', '1', async () => {})
  await lanes.settled('quick', never)
  expect(ended).toEqual(['quick'])
  await lanes.close()
})

test('tells of work that failed, and frees its lane', async () => {
  const errors: unknown[] = []
  const lanes = createLanes(
    (_, error) => errors.push(error),
    () => {},
  )
  const fault = new Error('no')
  lanes.enter('outline', 'one', () => Promise.reject(fault))
  await lanes.settled('outline', never)
  expect(errors).toEqual([fault])
  expect(lanes.runs.size).toBe(0)
})
