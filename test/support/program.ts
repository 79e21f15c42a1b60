import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { z } from 'zod'
import { usual } from './environment.ts'

const Line = z.looseObject({ msg: z.string(), url: z.string().optional() })
export type Line = z.infer<typeof Line>

/** A server's `main.ts` under plain `node`, as the hosts start it. */
export interface Program {
  /** Where it listens. */
  readonly url: string
  readonly pid: number | undefined
  /** Its log so far. */
  readonly lines: readonly Line[]
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves when it has ended; null if a signal ended it. */
  readonly ended: Promise<number | null>
}

/** Starts it on a free port; killed at the end of the test, if it still runs. */
export async function startProgram(main: string, env: Readonly<Record<string, string>> = {}): Promise<Program> {
  const program = await launchProgram(main, env)
  onTestFinished(() => program.kill('SIGKILL'))
  return program
}

/** Starts it on a free port; the caller ends it. */
export async function launchProgram(main: string, env: Readonly<Record<string, string>>): Promise<Program> {
  const { child, lines, ended } = spawnProgram(main, { PORT: '0', ...env })
  const url = await Promise.race([listening(lines), ended.then((code) => failed(code, lines.seen))])
  return { url, pid: child.pid, lines: lines.seen, kill: (signal) => void child.kill(signal), ended }
}

/** Runs one that is to fail at start: its exit code and log. */
export async function failProgram(main: string, env: Readonly<Record<string, string>>) {
  const { lines, ended } = spawnProgram(main, env)
  return { code: await ended, lines: lines.seen }
}

function spawnProgram(main: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [main], {
    env: { ...usual, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 1_200_000,
  })
  const lines = { seen: [] as Line[], more: createInterface(child.stderr) }
  lines.more.on('line', (line) => lines.seen.push(Line.parse(JSON.parse(line))))
  const ended = Promise.all([once(child, 'exit'), once(lines.more, 'close')]).then(([[code]]) =>
    z.number().nullable().parse(code),
  )
  return { child, lines, ended }
}

async function listening({ seen, more }: { readonly seen: readonly Line[]; readonly more: NodeJS.EventEmitter }) {
  for (;;) {
    const url = seen.find((line) => line.url !== undefined)?.url
    if (url !== undefined) return url
    await once(more, 'line')
  }
}

function failed(code: number | null, lines: readonly Line[]): never {
  throw new Error(`ended with ${code} before it listened: ${lines.map((line) => line.msg).join('; ')}`)
}
