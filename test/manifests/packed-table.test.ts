import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PackedTable, pack } from '#manifests/packed-table.ts'
import type { Grant, Table } from '#manifests/table.ts'
import { grantedServers, grantOf, holds, indexTable } from '../../proxy/table.ts'
import { runs } from '../support/property.ts'
import { agentWith, hashOf, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'

const existing = ['one', 'two', 'three']
const onlyEcho: Grant = { tools: ['echo'], prompts: [], resources: [] }

function tableOf(agents: Table['agents']): Table {
  const servers = Object.fromEntries(existing.map((name) => [name, serverAt(name, 'http://127.0.0.1:1')]))
  return { revision: 7, grantsFile: 'x', agents, servers, starting: [], draining: [] }
}

const handedOver = (table: Table) => PackedTable.parse(JSON.parse(JSON.stringify(pack(table))))

test('agents may use what their table says, whoever else may use the same', () => {
  const server = fc.constantFrom(...existing, 'gone')
  const grants = fc.dictionary(server, fc.constantFrom(wholeGrant, onlyEcho))
  const names = ['a', 'b', 'c', 'd', '__proto__']
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), grants), (granted) => {
      const agents = Object.fromEntries(Object.entries(granted).map(([name, own]) => [name, agentWith(name, own)]))
      const snapshot = indexTable(handedOver(tableOf(agents)))
      for (const name of names) {
        const own = Object.hasOwn(granted, name) ? granted[name] : {}
        const seen = existing.filter((one) => grantOf(snapshot, name, one) !== undefined).sort()
        expect(grantedServers(snapshot, name)).toEqual(seen)
        for (const one of [...existing, 'gone', 'constructor'])
          expect(grantOf(snapshot, name, one)).toEqual(existing.includes(one) ? own?.[one] : undefined)
        expect(holds(snapshot, hashOf(tokenOf(name)), 0)).toBe(Object.hasOwn(granted, name))
      }
    }),
    runs(200),
  )
})

test('what agents may use alike stands in it once', () => {
  const [ab, ba] = [
    { one: wholeGrant, two: wholeGrant },
    { two: wholeGrant, one: wholeGrant },
  ]
  const agents = { a: agentWith('a', ab), b: agentWith('b', ba), c: { ...agentWith('c', {}), expires: '2027-01-31' } }
  const packed = handedOver(tableOf(agents))
  expect(packed.access).toEqual([[{ servers: ['one', 'two'], grant: wholeGrant }], []])
  expect(packed.agents.map(({ name, expires, access }) => [name, expires, access])).toEqual([
    ['a', undefined, 0],
    ['b', undefined, 0],
    ['c', '2027-01-31', 1],
  ])
})

test('one whose agents may use what is not in it is none', () => {
  const packed = pack(tableOf({ a: agentWith('a', { one: wholeGrant }) }))
  const { error } = PackedTable.safeParse({ ...packed, access: [] })
  expect(error?.issues).toMatchObject([{ path: ['agents', 0, 'access'], message: 'there is no such access' }])
})
