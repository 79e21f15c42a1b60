import { expect, test } from 'vitest'
import { admit, meet, narrow } from '../../controller/admission.ts'
import * as make from '../support/make.ts'

const some = (...tools: string[]) => ({ tools, prompts: [], resources: [] })
const before = { bob: { hashes: ['a'.repeat(64)], grants: { outline: some('search_*', 'read') } } }

test('takes away at once, whether or not a server is ready', () => {
  const after = admit(before, { bob: make.agent({ outline: some('read') }) }, new Set())
  expect(after.bob?.grants).toEqual({ outline: some('read') })
})

test('adds a server only once it is ready', () => {
  const desired = { bob: make.agent({ outline: some('search_*', 'read'), wiki: make.whole }) }
  expect(Object.keys(admit(before, desired, new Set(['outline'])).bob?.grants ?? {})).toEqual(['outline'])
  expect(Object.keys(admit(before, desired, new Set(['outline', 'wiki'])).bob?.grants ?? {})).toEqual([
    'outline',
    'wiki',
  ])
})

test('does not widen a grant while the server that it is for is being replaced', () => {
  const after = admit(before, { bob: make.agent({ outline: make.whole }) }, new Set())
  expect(after.bob?.grants.outline?.tools).toEqual(['read', 'search_*'])
})

test('lets a new token in at once', () => {
  const desired = { bob: make.agent({ outline: some('read') }, { hashes: ['b'.repeat(64)] }) }
  expect(admit(before, desired, new Set()).bob?.hashes).toEqual(['b'.repeat(64)])
})

test('narrows to what both allow, and adds nobody', () => {
  const desired = {
    bob: make.agent({ outline: some('*'), wiki: make.whole }, { expires: '2027-01-31' }),
    eve: make.agent({ outline: make.whole }),
  }
  expect(narrow(before, desired)).toEqual({
    bob: { hashes: ['a'.repeat(64)], expires: '2027-01-31', grants: { outline: some('read', 'search_*') } },
  })
  expect(narrow(before, {})).toEqual({})
})

test('meets globs where one covers the other, and nowhere else', () => {
  const tools = (a: string[], b: string[]) => meet(some(...a), some(...b)).tools
  expect(tools(['search_*'], ['*'])).toEqual(['search_*'])
  expect(tools(['search_*'], ['search_documents'])).toEqual(['search_documents'])
  expect(tools(['a*'], ['*b'])).toEqual([])
  expect(tools(['a.c'], ['abc'])).toEqual([])
})

test('meets globs that would send a regular expression astray', () => {
  const tools = (a: string, b: string) => meet(some(a), some(b)).tools
  const long = 'a'.repeat(200)
  expect(tools(`${'a*'.repeat(100)}b`, long)).toEqual([])
  expect(tools(`${'a*'.repeat(100)}a`, long)).toEqual([long])
  expect(tools('ab*ba', 'aba')).toEqual([])
})
