import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { openEngine } from '../../controller/docker/docker.ts'
import { engineSocket } from './machine.ts'
import type { Post } from './small-server.ts'
import { until } from './until.ts'

/** A Docker engine as on a machine of its own: its network, its processes and their mounts are nobody else's. */
export interface OwnEngine extends AsyncDisposable {
  readonly socket: string
  /** What `DOCKER_HOST` says. */
  readonly url: string
  /** Where it stores. */
  readonly folder: string
  start(): Promise<void>
  /** Cuts the power: engine, containerd and containers end at one moment, and what a machine has in memory is gone. */
  cut(): Promise<void>
  /** Puts images of the machine's engine into this one, with their names. */
  load(images: readonly string[]): Promise<void>
  /** Empties its build cache. */
  prune(): Promise<void>
  /** Lets this machine's 127.0.0.1 reach what is published at a port of its own. */
  expose(port: number): Promise<void>
  /** POSTs as a program of that machine does. */
  readonly post: Post
}

const run = promisify(execFile)

const bridge = `const { connect, createServer } = require('node:net')
const [port, path] = process.argv.slice(1)
createServer((socket) => {
  const inner = connect(Number(port), '127.0.0.1')
  socket.on('error', () => inner.destroy()).pipe(inner)
  inner.on('error', () => socket.destroy()).pipe(socket)
}).listen(path, () => console.log('listens'))`

/** What the folders for pids, sockets and namespaces are on is a machine's memory, so that none of them outlives a power cut. */
const boot = `
set -e
ip link set lo up
mkdir -p "$1/run"
mount -t tmpfs none "$1/run"
exec dockerd --data-root "$1/data" --exec-root "$1/run" --pidfile "$1/run/docker.pid" -H "unix://$1/docker.sock"
`

/** Starts one; with a number of bytes, on a disk of that size, of which what is not written takes none of this machine's. */
export async function openOwnEngine(disk?: number): Promise<OwnEngine> {
  const engine = new BootedEngine(await mkdtemp(join(tmpdir(), 'gateway-engine-')))
  try {
    if (disk !== undefined) await engine.mount(disk)
    await engine.start()
  } catch (error) {
    await engine[Symbol.asyncDispose]()
    throw error
  }
  return engine
}

class BootedEngine implements OwnEngine {
  readonly socket: string
  readonly url: string
  readonly folder: string
  readonly #folder: string
  readonly #end = new AsyncDisposableStack()
  #machine: ChildProcess | undefined
  #said = ''

  constructor(folder: string) {
    this.#folder = folder
    this.folder = join(folder, 'data')
    this.socket = join(folder, 'docker.sock')
    this.url = `unix://${this.socket}`
    this.#end.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  }

  async mount(bytes: number): Promise<void> {
    const disk = join(this.#folder, 'disk')
    const file = await open(disk, 'w')
    await file.truncate(bytes)
    await file.close()
    await run('mkfs.ext4', ['-q', '-m', '0', disk])
    await mkdir(this.folder)
    await run('mount', ['-o', 'loop', disk, this.folder])
    this.#end.defer(async () => void (await run('umount', ['--recursive', this.folder])))
  }

  async start(): Promise<void> {
    const spaces = ['--net', '--pid', '--mount-proc', '--fork', '--kill-child']
    const machine = spawn('unshare', [...spaces, 'sh', '-c', boot, 'boot', this.#folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#machine = machine
    this.#said = ''
    machine.stderr.setEncoding('utf8').on('data', (said: string) => {
      this.#said += said
    })
    await until('the engine answers', () => this.#isUp(), 30_000).catch((cause: unknown) => {
      throw new Error(`the engine does not come up:\n${this.#said.slice(-3_000)}`, { cause })
    })
  }

  async #isUp(): Promise<boolean> {
    if (this.#machine?.exitCode !== null) throw new Error('it has ended')
    const engine = openEngine(this.socket)
    return engine.version(AbortSignal.timeout(3_000)).then(
      () => true,
      () => false,
    )
  }

  async cut(): Promise<void> {
    const machine = this.#machine
    this.#machine = undefined
    if (machine === undefined || machine.exitCode !== null) return
    const ended = once(machine, 'close', { signal: AbortSignal.timeout(30_000) })
    machine.kill('SIGKILL')
    await ended
  }

  async load(images: readonly string[]): Promise<void> {
    const names = images.map((image) => `names=${encodeURIComponent(image)}`).join('&')
    const saved = await answerOf(request({ socketPath: engineSocket, path: `/images/get?${names}` }).end())
    const headers = { 'content-type': 'application/x-tar' }
    const loading = request({ socketPath: this.socket, method: 'POST', path: '/images/load', headers })
    const loaded = answerOf(loading)
    await pipeline(saved, loading)
    const said = await text(await loaded)
    if (said.includes('errorDetail')) throw new Error(said)
  }

  async prune(): Promise<void> {
    await answerOf(request({ socketPath: this.socket, method: 'POST', path: '/build/prune?all=1' }).end())
  }

  /** A socket file is the same in every network. */
  async expose(port: number): Promise<void> {
    const path = join(this.#folder, `${port}.sock`)
    const command = [`--net=/proc/${this.#machine?.pid}/ns/net`, process.execPath, '-e', bridge, String(port), path]
    const inner = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#end.defer(() => void inner.kill('SIGKILL'))
    await once(inner.stdout, 'data')
    const outer = createServer((socket) => {
      const side = connect(path)
      socket.on('error', () => side.destroy()).pipe(side)
      side.on('error', () => socket.destroy()).pipe(socket)
    })
    await new Promise<void>((done, fail) => outer.once('error', fail).listen(port, '127.0.0.1', done))
    this.#end.defer(() => void outer.close())
  }

  readonly post: Post = async (url, token, body) => {
    const namespace = `--net=/proc/${this.#machine?.pid}/ns/net`
    const args = ['curl', '--silent', '--show-error', '--max-time', '20', '--config', '-', url]
    const running = spawn('nsenter', [namespace, ...args, '--write-out', '\n%{http_code}'])
    running.stdin.end(
      [
        `header = "Authorization: Bearer ${token}"`,
        'header = "Content-Type: application/json"',
        `data = ${JSON.stringify(JSON.stringify(body))}`,
      ].join('\n'),
    )
    const [out, complaint] = [text(running.stdout), text(running.stderr)]
    const lines = (await out).split('\n')
    const status = Number(lines.pop())
    if (status === 0) throw new Error(await complaint)
    return { status, body: JSON.parse(lines.join('\n')) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut()
    await this.#end.disposeAsync()
  }
}

async function answerOf(asked: ReturnType<typeof request>): Promise<IncomingMessage> {
  const [answer]: IncomingMessage[] = await once(asked, 'response')
  if (answer?.statusCode !== 200)
    throw new Error(`${asked.path}: ${answer?.statusCode} ${answer && (await text(answer))}`)
  return answer
}
