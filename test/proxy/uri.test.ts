import { describe, expect, test } from 'vitest'
import { jointUri, mayMake, ownUri, uriLead } from '../../proxy/uri.ts'

describe('a URI on the joint endpoint', () => {
  test.each([
    ['wiki', 'file:///a', 'wiki+file:///a'],
    ['wiki', 'urn:x', 'wiki+urn:x'],
    ['wiki', 'a+b:c', 'wiki+a+b:c'],
    ['wiki', 'ui://form/1', 'ui://wiki+form/1'],
    ['wiki', 'https://wiki.example/a', 'https://wiki.example/a'],
    ['', 'demo://one', 'demo://one'],
  ])('of %j: %s is %s, and back', (lead, own, joint) => {
    expect(jointUri(lead, own)).toBe(joint)
    expect(ownUri(lead, joint)).toBe(own)
  })

  test('is not that of a server whose name only begins alike', () => {
    expect(ownUri('wiki', 'wikis+file:///a')).toBeUndefined()
    expect(ownUri('wiki', 'ui://other+form')).toBeUndefined()
  })

  test('has a scheme that begins with a letter, whatever its server is called', () => {
    expect(uriLead('5etools', '5etools')).toBe('x.5etools')
    expect(new URL(jointUri(uriLead('5etools', '5etools'), 'rules://combat')).protocol).toBe('x.5etools+rules:')
  })

  test.each([
    ['test://{id}/data', 'test://7/data', true],
    ['test://{id}/data', 'test://7/other', false],
    ['test://{id}', 'test://7', true],
    ['test://{a}/{b}', 'test://7', false],
    ['x://fixed', 'x://fixed', true],
  ])('%s may have made %s: %j', (template, uri, made) => expect(mayMake(template, uri)).toBe(made))
})
