import { readFileSync } from 'node:fs'

/** Clock ticks of a second, as Linux tells programs of every machine that Node runs on. */
const ticks = 100

/** CPU time that processes have taken so far, µs, user and system. Source: proc_pid_stat(5). */
export function cpuOf(pids: readonly number[]): number {
  const one = (pid: number) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  }
  return (pids.reduce((sum, pid) => sum + one(pid), 0) / ticks) * 1e6
}

/** Resident memory of processes, MB: now, or the most it ever was. */
export function memoryOf(pids: readonly number[], which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const one = (pid: number) => {
    const kib = new RegExp(`^${which}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib) / 1_024
  }
  return pids.reduce((sum, pid) => sum + one(pid), 0)
}

/** A process's own children. */
export function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number)
}
