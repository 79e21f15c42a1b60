import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Bag } from '../../proxy/bag.ts'

test('a bag holds what was put in and not taken out, in whatever order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (steps) => {
      const bag = new Bag<number>()
      const model = new Map<number, () => void>()
      for (const [value, step] of steps.entries()) {
        const oldest = [...model].at(step)
        // An even step puts one in; an odd one takes out, and once more, which changes nothing.
        if (step % 2 === 0 || oldest === undefined) model.set(value, bag.add(value))
        else {
          const [taken, remove] = oldest
          remove()
          remove()
          model.delete(taken)
        }
        expect(bag.size).toBe(model.size)
        expect([...bag].sort((a, b) => a - b)).toEqual([...model.keys()].sort((a, b) => a - b))
      }
    }),
  )
})

test('all that are in it when it is walked come, whatever is taken out meanwhile', () => {
  const bag = new Bag<string>()
  const removes = ['a', 'b', 'c'].map((value) => bag.add(value))
  const seen: string[] = []
  for (const value of bag) {
    for (const remove of removes) remove()
    seen.push(value)
  }
  expect(seen).toEqual(['a', 'b', 'c'])
  expect(bag.size).toBe(0)
})
