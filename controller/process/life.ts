import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { z } from 'zod'

/** A process of this machine, told from any later one with the same number; it leads a group of its own. */
export const Birth = z.strictObject({
  pid: z.number().int().min(2),
  /** Boot of the machine and clock ticks since then. */
  born: z.string(),
})
export type Birth = Readonly<z.infer<typeof Birth>>

const boot = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** The process that has this number now. Throws if there is none. */
export function birthOf(pid: number): Birth {
  const seen = look(pid)
  if (seen === undefined) throw new Error(`process ${pid} ended before it could be recorded`)
  return { pid, born: seen.born }
}

/** Whether this very process runs; one that nobody has buried yet does not. */
export function isAlive({ pid, born }: Birth): boolean {
  const seen = look(pid)
  return seen?.born === born && seen.state !== 'Z' && seen.state !== 'X'
}

/** Signals the process and all that it started in its group, also what of that outlived it. Never signals a stranger. */
export function signalGroup({ pid, born }: Birth, signal: NodeJS.Signals): void {
  const seen = look(pid)
  // A number is not given out while a group still bears it: with no such process, the group is ours or empty.
  const ours = seen === undefined ? born.startsWith(`${boot()}:`) : seen.born === born
  if (ours) kill(-pid, signal)
}

/** Ends at once whatever stands in a folder or below it. */
export function endAllIn(folder: string): void {
  killEach((pid) => standsIn(pid, folder))
}

/** Ends at once each process that is such a one; how many there were. */
export function killEach(isSuch: (pid: string) => boolean): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isSuch(name))
  for (const pid of pids) kill(Number(pid), 'SIGKILL')
  return pids.length
}

function standsIn(pid: string, folder: string): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`)
  } catch {
    return false // it has ended, or is another user's
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!isCode(error, 'ESRCH')) throw error
  }
}

/** proc_pid_stat(5): the state is field 3, the start time field 22; the name before them may hold anything. */
function look(pid: number): { readonly state: string; readonly born: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', born: `${boot()}:${fields[19]}` }
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ESRCH')) return undefined
    throw error
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
