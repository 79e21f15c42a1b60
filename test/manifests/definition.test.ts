import { describe, expect, test } from 'vitest'
import { canonical, definitionOf, partsOf } from '#manifests/definition.ts'

const search = { description: 'searches', inputSchema: { type: 'object', properties: { q: { type: 'string' } } } }

describe('the hash of a definition', () => {
  test('is the same for every order of keys', () => {
    const { inputSchema, description } = search
    const other = { inputSchema: { properties: inputSchema.properties, type: 'object' }, description }
    expect(definitionOf('search', other)).toEqual(definitionOf('search', search))
  })

  test.each<[string, object]>([
    ['title', { title: 'Search' }],
    ['description', { description: 'searches everything' }],
    ['inputSchema', { inputSchema: { type: 'object' } }],
    ['outputSchema', { outputSchema: { type: 'object' } }],
    ['annotations', { annotations: { readOnlyHint: true } }],
  ])('is another one for another %s', (_, more) => {
    expect(definitionOf('search', { ...search, ...more }).hash).not.toBe(definitionOf('search', search).hash)
  })

  test('is another one for another name', () => {
    expect(definitionOf('find', search).hash).not.toBe(definitionOf('search', search).hash)
  })

  test('knows nothing of what models do not read, and of what is null', () => {
    const more = { _meta: { a: 1 }, icons: [], execution: { taskSupport: 'forbidden' }, title: null }
    expect(definitionOf('search', { ...search, ...more })).toEqual(definitionOf('search', search))
  })

  test('is the same in both eras for an output that is no object', () => {
    const list = { type: 'array', items: { type: 'number' } }
    const wrapped = { type: 'object', properties: { result: list }, required: ['result'] }
    expect(definitionOf('list', { outputSchema: wrapped })).toEqual(definitionOf('list', { outputSchema: list }))
    const object = { type: 'object', properties: { result: { type: 'object' } }, required: ['result'] }
    expect(partsOf(definitionOf('list', { outputSchema: object })).outputSchema).toEqual(object)
  })
})

test('canonical JSON sorts keys at every depth and keeps the order of lists', () => {
  expect(canonical({ b: [{ d: 1, c: 'é' }, 2], a: null })).toBe('{"a":null,"b":[{"c":"é","d":1},2]}')
})
