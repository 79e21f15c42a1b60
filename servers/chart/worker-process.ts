import { type ChildProcess, fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { RenderFailure } from '../kit/render-failure.ts'
import { ToolFailure } from '../kit/tool.ts'
import { type Answer, answerMessage } from './message.ts'
import type { Chart } from './painter/chart.ts'

const program = fileURLToPath(new URL('./painter/worker.ts', import.meta.url))
const startLimit = 20_000
const watchEvery = 100

/** Megabytes of JavaScript objects, and bytes of all memory, at which a worker that draws is stopped. */
const heap = 256
const most = 480e6
/** Megabytes for new objects: V8 would let them grow by 120 MB, and draw hardly faster. */
const young = 8

/** A worker that holds more bytes, or has drawn more pictures, is replaced before it draws another. */
const worn = { memory: 330e6, pictures: 200 }

/** A process that paints one chart at a time. */
export interface WorkerProcess {
  readonly pid: number | undefined
  /** Why some labels would be boxes. */
  readonly fontsLack: string | undefined
  /**
   * Paints a chart within so many milliseconds; a worker that does not is killed.
   *
   * @throws ToolFailure in the worker's words; RenderFailure when the time is over, or the worker has ended.
   */
  paint(chart: Chart, limit: number, signal: AbortSignal): Promise<Buffer>
  isUsable(): boolean
  stop(): Promise<void>
}

/** Starts one, and resolves when it can paint. @throws Error that says why it does not start. */
export async function startWorker(): Promise<WorkerProcess> {
  const child = fork(program, {
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${heap}`, `--max-semi-space-size=${young}`],
    // No secret is any business of code that draws.
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const last = lastWords(child)
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  const { fontsLack } = await ready(child, last).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  let pictures = 0
  let memory = 0
  return {
    pid: child.pid,
    fontsLack,
    isUsable: () => isAlive(child) && pictures < worn.pictures && memory < worn.memory,
    paint: async (chart, limit, signal) => {
      const answer = await ask(child, chart, { limit, signal, last })
      pictures += 1
      if (answer.kind === 'picture') {
        memory = answer.memory
        return answer.png
      }
      throw refused(answer)
    },
    stop: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function isAlive(child: ChildProcess): boolean {
  return !child.killed && child.exitCode === null && child.signalCode === null && child.connected
}

/** The end of what the process said on its standard error. */
function lastWords(child: ChildProcess): () => string {
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2_000)
  })
  return () => said.trim()
}

async function ready(child: ChildProcess, last: () => string): Promise<{ readonly fontsLack: string | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly fontsLack: string | undefined }>()
  const timer = setTimeout(
    () => reject(new Error(`the drawing process did not start within ${startLimit / 1000} s`)),
    startLimit,
  )
  child.once('error', reject)
  child.once('exit', (code, by) => reject(new Error(`the drawing process ended with ${by ?? code}: ${last()}`)))
  child.once('message', (message) => {
    const answer = answerMessage.parse(message)
    if (answer.kind === 'ready') resolve({ fontsLack: answer.fontsLack })
  })
  return await promise.finally(() => clearTimeout(timer))
}

interface Ends {
  readonly limit: number
  readonly signal: AbortSignal
  readonly last: () => string
}

async function ask(child: ChildProcess, chart: Chart, { limit, signal, last }: Ends): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const stop = (failure: unknown) => {
    reject(failure)
    child.kill('SIGKILL')
  }
  const onMessage = (message: unknown) => resolve(answerMessage.parse(message))
  const onExit = () => reject(crashed(last()))
  const onAbort = () => stop(signal.reason)
  const late = () =>
    stop(new RenderFailure('timeout', `Drawing took longer than ${limit / 1000} s and was stopped. Draw less data.`))
  const watch = setInterval(() => {
    void memoryOf(child.pid).then((bytes) => {
      if (bytes > most)
        stop(
          new RenderFailure(
            'crashed',
            `Drawing took more than ${most / 1e6} MB of memory and was stopped. Draw less data.`,
          ),
        )
    })
  }, watchEvery)
  const timer = setTimeout(late, limit)
  child.once('message', onMessage).once('exit', onExit)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    child.send(chart, (error) => {
      if (error !== null) onExit()
    })
    return await promise
  } finally {
    clearInterval(watch)
    clearTimeout(timer)
    child.off('message', onMessage).off('exit', onExit)
    signal.removeEventListener('abort', onAbort)
  }
}

function crashed(words: string): RenderFailure {
  const failure = 'The drawing process ended while it was drawing this. Try again; if it happens again, draw less data.'
  return new RenderFailure('crashed', failure, { cause: words })
}

function refused(answer: Answer): ToolFailure {
  if (answer.kind !== 'problem') return new RenderFailure('crashed', 'The drawing process answered something else.')
  if (answer.known) return new ToolFailure(answer.words)
  return new ToolFailure(`The chart library cannot draw this: ${answer.words.split('\n', 1)[0]}`, {
    cause: answer.stack,
  })
}

/** Bytes that a process holds; 0 where the system does not tell (it has no /proc). */
async function memoryOf(pid: number | undefined): Promise<number> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '')
  return Number(statm.split(' ')[1] ?? 0) * 4096
}
