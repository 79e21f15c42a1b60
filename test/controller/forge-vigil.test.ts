import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Vigil, watchWebhook } from '../../controller/forge/vigil.ts'

let vigil: Vigil
let missed: number

beforeEach(() => {
  vi.useFakeTimers()
  missed = 0
  const address = 'https://gateway.example/webhook/forgejo'
  vigil = watchWebhook({ address, grace: 1_000, onMissed: () => missed++, onChange: () => {} })
  vigil.found('head')
})
afterEach(() => {
  vigil[Symbol.dispose]()
  vi.useRealTimers()
})

function find(...commits: readonly string[]): void {
  for (const commit of commits) {
    vigil.found(commit)
    vi.advanceTimersByTime(2_000)
  }
}

test('says that commits come without a webhook, after the third in a row', () => {
  find('a', 'b')
  expect(vigil.state()).toEqual({ ok: true, reason: 'no delivery yet' })
  find('c')
  expect(missed).toBe(3)
  expect(vigil.state()).toMatchObject({
    ok: false,
    reason: expect.stringContaining('3 commits came without a webhook'),
  })
  expect(vigil.state().reason).toContain('ALLOWED_HOST_LIST let it reach https://gateway.example/webhook/forgejo')
})

test('is healed by one delivery', () => {
  find('a', 'b', 'c')
  vigil.heard('d')
  expect(vigil.state().ok).toBe(true)
  find('d', 'e', 'f')
  expect(missed).toBe(5)
  expect(vigil.state().ok).toBe(true)
})

test('takes a delivery before its commit, and a moment after', () => {
  vigil.heard('a')
  find('a')
  vigil.found('b')
  vi.advanceTimersByTime(500)
  vigil.heard('b')
  vigil.found('c')
  vigil.heard(undefined)
  vi.advanceTimersByTime(5_000)
  expect(missed).toBe(0)
})

test('counts neither the first head nor the same again', () => {
  find('head', 'head')
  expect(missed).toBe(0)
})
