import { readFileSync } from 'node:fs'
import {
  addressOf,
  type HostOptions,
  lossyHandover,
  migration,
  type ObservedEdge,
  type ObservedGeneration,
  type ObservedProxy,
} from '../host.ts'
import type { UnitRecord } from './table.ts'

/** Proxies listen at the published address themselves: what other hosts have an edge for is always there. */
export function seeEdge(options: HostOptions): ObservedEdge {
  const name = `${options.instance}-edge`
  const remark = handsOver() ? {} : { remark: `${lossyHandover} is not 1 on this machine` }
  return { id: name, name, state: 'running', startedAt: 0, address: addressOf(options.listen), ...remark }
}

function handsOver(): boolean {
  try {
    return readFileSync(`/proc/sys/${migration.replaceAll('.', '/')}`, 'utf8').trim() === '1'
  } catch {
    return false
  }
}

export function seeProxy(record: UnitRecord, runs: boolean): ObservedProxy | undefined {
  return record.is.role === 'proxy' ? { ...seeUnit(record, runs), spec: record.is.spec } : undefined
}

export function seeGeneration(record: UnitRecord, runs: boolean): ObservedGeneration | undefined {
  if (record.is.role !== 'server') return undefined
  const { server, spec, context, origin } = record.is
  const upstream = runs ? { upstream: `http://127.0.0.1:${record.life.port}` } : {}
  return { ...seeUnit(record, runs), server, spec, context, origin, restarts: 0, ...upstream }
}

function seeUnit({ name, life }: UnitRecord, runs: boolean): Omit<ObservedProxy, 'spec'> {
  const { startedAt, exitCode, endedAt } = life
  const end = { ...(exitCode === undefined ? {} : { exitCode }), ...(endedAt === undefined ? {} : { endedAt }) }
  return { id: name, name, state: runs ? 'running' : 'exited', startedAt, ...(runs ? {} : end) }
}
