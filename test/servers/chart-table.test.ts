import { describe, expect, test } from 'vitest'
import { inputs } from '../../servers/chart/catalogue.ts'
import { pivot, plain } from '../../servers/chart/painter/pivot.ts'

const data = [
  { region: 'north', year: 2023, tons: 1, staff: 4 },
  { region: 'north', year: 2024, tons: 2, staff: 5 },
  { region: 'south', year: 2024, tons: '3', staff: null },
  { region: 'south', year: 2024, tons: 4, staff: 6 },
]

const read = (more: Readonly<Record<string, unknown>>) => inputs.spreadsheet.parse({ data, ...more })

describe('a spreadsheet', () => {
  test('shows its rows as they come, and its columns as they first appear', () => {
    const { columns, rows, sides } = plain(read({}))
    expect(columns).toEqual([['region'], ['year'], ['tons'], ['staff']])
    expect([rows[2], sides]).toEqual([['south', 2024, '3', null], 0])
  })

  test('shows the columns that were asked for, in that order', () => {
    const { columns, rows } = plain(read({ columns: ['tons', 'region'] }))
    expect([columns, rows[0]]).toEqual([
      [['tons'], ['region']],
      [1, 'north'],
    ])
  })

  test('sums numbers that meet, also those given as text', () => {
    const { columns, rows, sides } = pivot(read({ rows: ['region'], columns: ['year'], values: ['tons'] }))
    expect(columns).toEqual([['region'], ['2023'], ['2024']])
    expect(rows).toEqual([
      ['north', 1, 2],
      ['south', undefined, 7],
    ])
    expect(sides).toBe(1)
  })

  test('has a column for each value where there are several', () => {
    const { columns, rows } = pivot(read({ columns: ['year'], values: ['tons', 'staff'] }))
    expect(columns).toEqual([
      ['2023', 'tons'],
      ['2023', 'staff'],
      ['2024', 'tons'],
      ['2024', 'staff'],
    ])
    expect(rows).toEqual([[1, 4, 9, 11]])
  })

  test('sums all other columns where no values are named', () => {
    const { columns, rows } = pivot(read({ rows: ['region', 'year'] }))
    expect(columns).toEqual([['region'], ['year'], ['tons'], ['staff']])
    expect(rows.at(-1)).toEqual(['south', '2024', 7, 6])
  })

  test('refuses more columns than anybody could read', () => {
    const wide = Array.from({ length: 61 }, (_, i) => [`c${i}`, i])
    expect(() => plain(inputs.spreadsheet.parse({ data: [Object.fromEntries(wide)] }))).toThrow(
      /61 columns, more than 60/,
    )
  })

  test('has no column by a name that objects inherit', () => {
    const row: unknown = JSON.parse('{"__proto__": 1, "constructor": 2, "a": 3}')
    const { columns, rows } = plain(inputs.spreadsheet.parse({ data: [row] }))
    expect([columns, rows]).toEqual([[['constructor'], ['a']], [[2, 3]]])
    expect(() => plain(inputs.spreadsheet.parse({ data: [row], columns: ['toString'] }))).toThrow(/no row has toString/)
  })
})
