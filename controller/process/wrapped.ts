import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Generation } from '../host.ts'
import { wrapperArguments, wrapperEnvironment, wrapperFolder, wrapperMain } from '../stdio.ts'
import type { Launch } from './child.ts'
import { killEach } from './life.ts'

/** Variable that marks all that a wrapper starts: it gives each program a process group of its own. */
const mark = 'COMMONS_GATEWAY_UNIT'
const rounds = 50

interface Wrapped {
  readonly stdio: NonNullable<Generation['stdio']>
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** How a server is started whose program speaks on stdin and stdout: by the wrapper, which runs on our Node. */
export function wrapped({ stdio, command, env }: Wrapped): Pick<Launch, 'command' | 'env'> {
  const [program = '', ...args] = command
  const inner = [program === 'node' ? process.execPath : program, ...args]
  return {
    command: ['node', join(wrapperFolder, wrapperMain), ...wrapperArguments(stdio, inner)],
    env: { ...wrapperEnvironment(env), [mark]: randomUUID() },
  }
}

/** Ends what a wrapper that has ended could not end any more, because it was killed itself. */
export function killLeft({ env }: Pick<Launch, 'env'>): void {
  const value = env[mark]
  if (value === undefined) return
  const entry = `${mark}=${value}`
  for (let round = 0; round < rounds; round++) if (killEach((pid) => environmentOf(pid).includes(entry)) === 0) return
}

/** Of a stranger's, and of one that has ended, there is nothing to read. */
function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}
