import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { portOf } from '../port.ts'

/** What a test and the servers of one upstream tell each other beside the protocol, in lines. */
export class Backstage {
  /** What the servers said. */
  readonly said = new Set<string>()
  readonly #cues: string[] = []
  readonly #listeners = new Set<(line: string) => void>()

  say(line: string): void {
    this.said.add(line)
  }

  /** Tells every server, and those that start later too. */
  cue(line: string): void {
    this.#cues.push(line)
    for (const take of this.#listeners) take(line)
  }

  /** All that was cued so far, and all that will be. Returns what ends it. */
  listen(take: (line: string) => void): () => void {
    for (const line of this.#cues) take(line)
    this.#listeners.add(take)
    return () => void this.#listeners.delete(take)
  }

  /** What was cued with a verb. */
  cued(verb: string): readonly string[] {
    return this.#cues.filter((line) => line.startsWith(`${verb} `)).map((line) => line.slice(verb.length + 1))
  }

  /** Resolves with true when the line is cued, with false when the signal is aborted before. */
  async heard(line: string, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const unlisten = this.listen((cue) => cue === line && resolve(true))
    signal.addEventListener('abort', () => resolve(false), { once: true })
    if (signal.aborted) resolve(false)
    return promise.finally(unlisten)
  }
}

/** A port of this machine at which programs reach a backstage. */
export interface StageDoor extends AsyncDisposable {
  readonly port: number
}

/** A program's `stay <key>` is answered with `left <key>` when it is gone, however it ends. */
export async function openStageDoor(backstage: Backstage): Promise<StageDoor> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const staying: string[] = []
    const unlisten = backstage.listen((line) => void socket.write(`${line}\n`))
    socket.write('ready\n')
    const lines = createInterface(socket).on('line', (line) => {
      if (line.startsWith('stay ')) staying.push(line.slice('stay '.length))
      backstage.say(line)
    })
    // A program that is killed breaks its connection off; readline tells of that too.
    for (const one of [socket, lines]) one.on('error', () => undefined)
    socket.once('close', () => {
      sockets.delete(socket)
      unlisten()
      for (const key of staying) backstage.say(`left ${key}`)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    port: portOf(server),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
}

/** A program's own end of the backstage, once it has heard all that was cued. */
export async function enterStageDoor(port: number): Promise<Backstage> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const socket = connect(port, '127.0.0.1')
  const here = new (class extends Backstage {
    override say(line: string): void {
      socket.write(`${line}\n`)
    }
  })()
  createInterface(socket).on('line', (line) => (line === 'ready' ? resolve() : here.cue(line)))
  await promise
  return here
}
