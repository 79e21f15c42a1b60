import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../controller/main.ts', import.meta.url))
/** One that is killed after so many boundaries: `mortal-controller.ts`. */
export const mortal = fileURLToPath(new URL('mortal-controller.ts', import.meta.url))
/** The file in which a mortal one finds after how many. */
export const verdictOf = (state: string) => join(state, 'mortal')

/** A controller as an operator starts it, under plain `node`. Disposing kills it. */
export interface ControllerProcess extends AsyncDisposable {
  readonly child: ChildProcess
  /** All that it has printed so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its exit code once it has ended and all of its output is there; null if a signal ended it. */
  readonly ended: Promise<number | null>
}

export function spawnController(env: Readonly<Record<string, string>>, program = main): ControllerProcess {
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const printed = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      printed[stream] += text
    })
  const ended = once(child, 'close').then(() => child.exitCode)
  return {
    child,
    stdout: () => printed.stdout,
    stderr: () => printed.stderr,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
