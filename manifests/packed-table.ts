import { z } from 'zod'
import { Grant, Table, TableAgent } from './table.ts'

/** What agents may use: a grant, and the servers that it is for, sorted. */
const Access = z.array(z.strictObject({ servers: z.array(z.string()), grant: Grant }))
type Access = z.infer<typeof Access>

/**
 * A table as it is handed over and kept: agents who may use the same have it in common, since calls wait while a table is read.
 * Lists, because an object with ten thousand keys takes several times as long.
 */
export const PackedTable = z
  .strictObject({
    ...Table.shape,
    agents: z.array(
      z.strictObject({
        name: z.string(),
        hashes: TableAgent.shape.hashes,
        expires: TableAgent.shape.expires,
        /** Index of what it may use. */
        access: z.number().int().nonnegative(),
      }),
    ),
    access: z.array(Access),
  })
  .superRefine(({ agents, access }, context) => {
    const at = agents.findIndex((agent) => agent.access >= access.length)
    if (at >= 0)
      context.addIssue({ code: 'custom', path: ['agents', at, 'access'], message: 'there is no such access' })
  })
export type PackedTable = Readonly<z.infer<typeof PackedTable>>

export function pack({ agents, ...table }: Table): PackedTable {
  const access = new Map<string, { readonly index: number; readonly access: Access }>()
  const packed = Object.entries(agents).map(([name, { grants, ...agent }]) => {
    const own = accessOf(grants)
    const key = JSON.stringify(own)
    const known = access.get(key) ?? { index: access.size, access: own }
    access.set(key, known)
    return { name, ...agent, access: known.index }
  })
  return { ...table, agents: packed, access: [...access.values()].map((one) => one.access) }
}

function accessOf(grants: TableAgent['grants']): Access {
  const alike = Map.groupBy(Object.keys(grants).sort(), (server) => JSON.stringify(grants[server]))
  return [...alike.values()].flatMap((servers) => {
    const grant = grants[servers[0] ?? '']
    return grant === undefined ? [] : [{ servers, grant }]
  })
}
