import { readdirSync, readFileSync } from 'node:fs'

/** Processes of git, and what it started, that work for the controller with this state folder: their command lines by id. Linux only. */
export function gitProcesses(state: string): ReadonlyMap<number, string> {
  const found = readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (Number.isNaN(pid)) return []
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`HOME=${state}/`)) return []
      return [[pid, readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')] as const]
    } catch {
      return []
    }
  })
  return new Map(found)
}

/** What git leaves in a state folder when it is stopped: temporary files, locks, half a mirror. */
export function gitLeftovers(state: string): readonly string[] {
  const files = readdirSync(state, { recursive: true, encoding: 'utf8' })
  return files.filter((file) => /(^|\/)tmp_|\.lock$|\.git\.new$|(^|\/)packets$/.test(file))
}

/** The most memory that one of them has, bytes, watched until the disposal. */
export function watchMemory(state: string): Disposable & { readonly most: () => number } {
  let most = 0
  const look = () => {
    for (const pid of gitProcesses(state).keys()) {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'latin1')
        most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024)
      } catch {}
    }
  }
  const timer = setInterval(look, 100)
  return { most: () => most, [Symbol.dispose]: () => clearInterval(timer) }
}
