import { expect, test } from 'vitest'
import { Lines } from '../../stdio/lines.ts'
import { readMessage, rewrite } from '../../stdio/message.ts'

test('keeps numbers as they were written when it changes something else', () => {
  const text = '{"jsonrpc":"2.0","id":1,"result":{"big":12345678901234567890,"tiny":1.0e-400,"plain":1.50}}'
  const changed = rewrite(text, (message) => {
    message.id = 'x'
  })
  expect(changed).toBe('{"jsonrpc":"2.0","id":"x","result":{"big":12345678901234567890,"tiny":1.0e-400,"plain":1.50}}')
})

test('tells requests, notifications and responses, and what is none of them', () => {
  const kind = (value: unknown) => readMessage(JSON.stringify(value))?.kind
  const rpc = { jsonrpc: '2.0' }
  expect(kind({ ...rpc, id: 0, method: 'a' })).toBe('request')
  expect(kind({ ...rpc, method: 'a' })).toBe('notification')
  expect(kind({ ...rpc, id: 'a', result: null })).toBe('response')
  expect(kind({ ...rpc, id: null, error: {} })).toBe('response')
  for (const other of [
    null,
    1,
    'a',
    [],
    {},
    rpc,
    { ...rpc, id: 1 },
    { ...rpc, id: true, method: 'a' },
    { id: 1, method: 'a' },
  ])
    expect(kind(other), JSON.stringify(other)).toBeUndefined()
})

test('cuts lines wherever the bytes are cut, and none that is too long', () => {
  const bytes = Buffer.from('ä\n€uro\n\n😀😀\n')
  for (let size = 1; size <= bytes.length; size++) {
    const found: string[] = []
    const lines = new Lines(8, { line: (text) => found.push(text), over: () => found.push('over') })
    for (let at = 0; at < bytes.length; at += size) lines.take(bytes.subarray(at, at + size))
    expect(found).toEqual(['ä', '€uro', '', '😀😀'])
  }
  const found: string[] = []
  const lines = new Lines(3, { line: (text) => found.push(text), over: () => found.push('over') })
  for (const part of ['abc\nab', 'cd', '\nx\n']) lines.take(Buffer.from(part))
  expect(found).toEqual(['abc', 'over'])
})
