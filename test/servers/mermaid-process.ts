import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The mermaid server as its own process, started as in production. */
export interface MermaidProcess {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  readonly pid: number
  readonly log: readonly string[]
  /** Asks it to stop. @returns its exit code. */
  stop(): Promise<number | null>
}

const main = fileURLToPath(new URL('../../servers/mermaid/main.ts', import.meta.url))

/** @throws Error with its last words if it ends before it listens. */
export async function startMermaid(environment: Readonly<Record<string, string>> = {}): Promise<MermaidProcess> {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, PORT: '0', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(child, 'exit').then(([code]) => code)
  const log: string[] = []
  const url = await new Promise<string>((listening, failed) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line)
      const said: { msg?: string; url?: string } = JSON.parse(line)
      if (said.msg === 'listening' && said.url !== undefined) listening(said.url)
    })
    child.on('close', (code) => failed(new Error(`it ended with ${code}: ${log.at(-1)}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    return await exited
  }
  return { url, pid: child.pid ?? 0, log, stop }
}

/** Process ids of the children of a process, and of theirs. */
export function descendants(pid: number): readonly number[] {
  const children = childrenOf(pid)
  return [...children, ...children.flatMap(descendants)]
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
