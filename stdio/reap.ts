import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Variable whose value marks a program, and all that it starts. */
export const mark = 'COMMONS_GATEWAY_STDIO'

const rounds = 20
const pause = 25

/** Ends a process group. Gone is fine. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody is left in it.
  }
}

/**
 * Ends whatever bears the mark in its environment, be it in another group or another's child by now. Looks again until nobody
 * is found, for what is found may just be starting another.
 */
export async function reap(value: string): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const found = bearers(`${mark}=${value}`)
    if (found.length === 0) return
    for (const pid of found) kill(pid)
    await sleep(pause)
  }
}

function bearers(entry: string): readonly number[] {
  return processIds().filter((pid) => environmentOf(pid).includes(entry))
}

/** None where there is no /proc: the process group is all that can be ended there. */
function processIds(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}

/** Of one that ended, of a stranger's and of one that nobody has buried yet there is nothing to read. */
function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}
