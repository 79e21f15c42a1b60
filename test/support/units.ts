import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, signalGroup } from '../../controller/process/life.ts'
import { type UnitRecord, UnitTable } from '../../controller/process/table.ts'

/** What runs on the process host of a state, by identity: `<server or role> <pid>`, sorted. */
export function unitsOf(state: string): readonly string[] {
  return records(state)
    .filter(({ life }) => isAlive(life))
    .map(({ is, life }) => `${is.role === 'server' ? is.server : is.role} ${life.pid}`)
    .sort()
}

/** What the process host of a state has of a server, running or not: units and builds, by name. */
export function tracesOf(state: string, server: string): readonly string[] {
  const units = records(state).filter(({ is }) => is.role === 'server' && is.server === server)
  const builds = readdirSync(join(state, 'built')).filter((mark) => mark.startsWith(`${server}@`))
  return [...units.map(({ name }) => name), ...builds]
}

/** Ends what runs on the process host of a state, whatever has become of its controller. */
export function endUnits(state: string): void {
  for (const { life } of records(state)) signalGroup(life, 'SIGKILL')
}

function records(state: string): readonly UnitRecord[] {
  const folder = join(state, 'units')
  return existsSync(folder) ? new UnitTable(folder).list() : []
}
