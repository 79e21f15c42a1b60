import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { acquireLease } from '../../controller/lease.ts'

const program = fileURLToPath(new URL('../support/lease-holder.ts', import.meta.url))

let state: string
let children: ChildProcess[]
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'lease-'))
  children = []
})
afterEach(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) await kill(child)
  await rm(state, { recursive: true })
})

/** A process that tries to take the lease; `says` gives what it has said so far. */
function contender(): { readonly child: ChildProcess; readonly says: () => string } {
  const child = spawn(process.execPath, [program, state], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  return { child, says: () => said }
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

test('is held by one process, and passes to the next when that is killed', async () => {
  const first = contender()
  await expect.poll(first.says).toBe('holds\n')
  const second = contender()
  await expect.poll(second.says).toBe('waits\n')
  await kill(first.child)
  await expect.poll(second.says).toBe('waits\nholds\n')
})

test('is free again once it is let go', async () => {
  const told: string[] = []
  const { signal } = new AbortController()
  const first = await acquireLease(state, () => told.push('first'), signal)
  const second = acquireLease(state, () => told.push('second'), signal)
  await expect.poll(() => told).toEqual(['second'])
  first[Symbol.dispose]()
  ;(await second)[Symbol.dispose]()
  ;(await acquireLease(state, () => told.push('third'), signal))[Symbol.dispose]()
  expect(told).toEqual(['second'])
})

test('is not waited for any longer than the signal says', async () => {
  const lease = await acquireLease(state, () => {}, new AbortController().signal)
  const stopping = new AbortController()
  const waiting = acquireLease(state, () => stopping.abort(), stopping.signal)
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  lease[Symbol.dispose]()
})
