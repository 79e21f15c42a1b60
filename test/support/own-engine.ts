import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { engineSocket } from './machine.ts'
import { until } from './until.ts'

const run = promisify(execFile)

/** A Docker engine of a test's own, with a network, a disk and images of its own. Disposing ends and removes all of it. */
export interface OwnEngine extends AsyncDisposable {
  readonly socket: string
  /** What `DOCKER_HOST` says. */
  readonly url: string
  /** Where it stores, which is its whole disk. */
  readonly folder: string
  /** Has an image of the machine's engine, by its name. */
  copy(image: string): Promise<void>
  /** Empties its build cache. */
  prune(): Promise<void>
  /** Lets this machine's 127.0.0.1 reach what is published at a port of its own. */
  expose(port: number): Promise<void>
}

/** Starts one on a disk of so many bytes, of which what is not written takes none of this machine's. */
export async function startOwnEngine(bytes: number): Promise<OwnEngine> {
  const end = new AsyncDisposableStack()
  try {
    const root = await mkdtemp(join(tmpdir(), 'engine-'))
    end.defer(() => rm(root, { recursive: true, force: true, maxRetries: 5 }))
    const folder = await mountDisk(root, bytes, end)
    const socket = join(root, 'docker.sock')
    const daemon = await startDaemon(root, { folder, socket }, end)
    return {
      socket,
      url: `unix://${socket}`,
      folder,
      copy: (image) => copyImage(image, socket),
      prune: async () => void (await ask(socket, 'POST', '/build/prune?all=1')),
      expose: (port) => relay(port, { root, daemon }, end),
      [Symbol.asyncDispose]: () => end.disposeAsync(),
    }
  } catch (error) {
    await end.disposeAsync()
    throw error
  }
}

async function mountDisk(root: string, bytes: number, end: AsyncDisposableStack): Promise<string> {
  const [disk, folder] = [join(root, 'disk'), join(root, 'data')]
  const file = await open(disk, 'w')
  await file.truncate(bytes)
  await file.close()
  await run('mkfs.ext4', ['-q', '-m', '0', disk])
  await mkdir(folder)
  await run('mount', ['-o', 'loop', disk, folder])
  end.defer(async () => void (await run('umount', ['--recursive', folder])))
  return folder
}

/** Never in the network of this machine: there its rules would be those of the engine that others use. */
async function startDaemon(
  root: string,
  { folder, socket }: { readonly folder: string; readonly socket: string },
  end: AsyncDisposableStack,
): Promise<ChildProcess> {
  const options = ['--data-root', folder, '--exec-root', join(root, 'exec'), '--pidfile', join(root, 'pid')]
  const script = 'ip link set lo up && exec dockerd "$@"'
  const command = ['--net', '--', 'sh', '-c', script, 'sh', ...options, '--host', `unix://${socket}`]
  const child = spawn('unshare', command, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-5_000)
  })
  const ended = once(child, 'close')
  end.defer(async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000)
    await ended
    clearTimeout(late)
  })
  const answers = async () => {
    if (child.exitCode !== null) throw new Error(`the engine ended:\n${said}`)
    return ask(socket, 'GET', '/_ping').then(
      () => true,
      () => false,
    )
  }
  await until('the engine answers', answers, 60_000)
  return child
}

async function copyImage(image: string, socket: string): Promise<void> {
  const saved = await answerOf(engineSocket, 'GET', `/images/get?names=${encodeURIComponent(image)}`)
  await ask(socket, 'POST', '/images/load?quiet=1', saved)
}

const bridge = `const { connect, createServer } = require('node:net')
const [port, path] = process.argv.slice(1)
createServer((socket) => {
  const inner = connect(Number(port), '127.0.0.1')
  socket.on('error', () => inner.destroy()).pipe(inner)
  inner.on('error', () => socket.destroy()).pipe(socket)
}).listen(path, () => console.log('listens'))`

/** A socket file is the same in every network. */
async function relay(
  port: number,
  { root, daemon }: { readonly root: string; readonly daemon: ChildProcess },
  end: AsyncDisposableStack,
): Promise<void> {
  const path = join(root, `${port}.sock`)
  const command = ['--target', String(daemon.pid), '--net', process.execPath, '-e', bridge, String(port), path]
  const inner = spawn('nsenter', command, { stdio: ['ignore', 'pipe', 'inherit'] })
  end.defer(() => void inner.kill('SIGKILL'))
  await once(inner.stdout, 'data')
  const outer = createServer((socket) => {
    const side = connect(path)
    socket.on('error', () => side.destroy()).pipe(side)
    side.on('error', () => socket.destroy()).pipe(socket)
  })
  await new Promise<void>((done, fail) => outer.once('error', fail).listen(port, '127.0.0.1', done))
  end.defer(() => void outer.close())
}

async function ask(socket: string, method: string, path: string, body?: Readable): Promise<string> {
  const chunks = await (await answerOf(socket, method, path, body)).toArray()
  return Buffer.concat(chunks).toString()
}

/** The body of a good answer, as it comes. */
function answerOf(socketPath: string, method: string, path: string, body?: Readable): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/x-tar' }
    const asked = request({ socketPath, method, path, headers, timeout: 120_000 }, (answer) => {
      if ((answer.statusCode ?? 500) < 300) resolve(answer)
      else reject(new Error(`${method} ${path}: HTTP ${answer.statusCode}`))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)))
    if (body === undefined) asked.end()
    else body.on('error', reject).pipe(asked)
  })
}
