import { readdirSync, readFileSync } from 'node:fs'

/** Process ids of the children of a process, and of theirs, parents first. Linux only. */
export function descendants(pid: number): readonly number[] {
  const children = childrenOf(pid)
  return [...children, ...children.flatMap(descendants)]
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    )
  } catch {
    return []
  }
}

/** Bytes that a process and its descendants hold alone, without what they share. Linux only. */
export function memoryOf(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => sum + ownMemory(each), 0)
}

function ownMemory(pid: number): number {
  try {
    const [, resident = 0, shared = 0] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number)
    return (resident - shared) * 4096
  } catch {
    return 0
  }
}

/** Whether there is such a process, be it one that has ended and that nobody has buried yet. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
