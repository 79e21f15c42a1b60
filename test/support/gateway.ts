import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommitStatus, Status } from '#manifests/status.ts'
import { portOf } from './port.ts'
import { until } from './until.ts'

export type Runtime = 'docker' | 'process'

/** A controller in a process of its own, with everything that it runs, as an operator has it. Disposing removes all of it. */
export interface Gateway extends AsyncDisposable {
  readonly instance: string
  readonly state: string
  /** Where agents connect, without `/mcp`. */
  readonly endpoint: string
  /** The status page. */
  readonly face: string
  /** All that the controller has printed. */
  readonly output: () => string
  readonly controller: () => ChildProcess
  status(): Promise<Status>
  /** Waits for the commit's final phase. */
  becomes(commit: string): Promise<CommitStatus>
  /** Ends the controller at once, as a power cut would; what it runs goes on. */
  kill(): Promise<void>
  /** Starts a controller on the same state. */
  start(): Promise<void>
  /** Delivers a signed webhook of a push; gives the HTTP status. */
  deliver(): Promise<number>
}

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const webhookSecret = randomBytes(16).toString('hex')

export async function startGateway(runtime: Runtime, env: Readonly<Record<string, string>>): Promise<Gateway> {
  const state = await mkdtemp(join(tmpdir(), 'gateway-'))
  const instance = `test-${randomBytes(3).toString('hex')}`
  const [agents, people] = [await freePort(), await freePort()]
  const made = new TestGateway({
    instance,
    state,
    endpoint: `http://127.0.0.1:${agents}`,
    face: `http://127.0.0.1:${people}`,
    env: {
      PATH: process.env.PATH ?? '',
      LANG: 'C.UTF-8',
      ...networkVariables(),
      GATEWAY_INSTANCE: instance,
      GATEWAY_STATE: state,
      GATEWAY_SECRETS: join(state, 'secrets.env'),
      GATEWAY_RUNTIME: runtime,
      GATEWAY_POLL: '*/1 * * * * *',
      GATEWAY_PROXY_LISTEN: `127.0.0.1:${agents}`,
      GATEWAY_LISTEN: `127.0.0.1:${people}`,
      GATEWAY_WEBHOOK_SECRET: webhookSecret,
      ...env,
    },
  })
  await made.start()
  return made
}

/** What a machine behind a proxy of its own needs to reach a package registry. */
function networkVariables(): Record<string, string> {
  const wanted = /^(https?_proxy|no_proxy|npm_config_\w+|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      wanted.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}

interface Setting extends Pick<Gateway, 'instance' | 'state' | 'endpoint' | 'face'> {
  readonly env: Readonly<Record<string, string>>
}

class TestGateway implements Gateway {
  readonly instance: string
  readonly state: string
  readonly endpoint: string
  readonly face: string
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #output = ''

  constructor({ instance, state, endpoint, face, env }: Setting) {
    this.instance = instance
    this.state = state
    this.endpoint = endpoint
    this.face = face
    this.#env = env
  }

  output = () => this.#output

  controller = (): ChildProcess => {
    if (this.#child === undefined) throw new Error('no controller was started')
    return this.#child
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [join(checkout, 'controller/main.ts')], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (this.#output += String(chunk)))
    await until('the controller answers', () => this.#isUp(), 60_000)
  }

  async #isUp(): Promise<boolean> {
    if (this.controller().exitCode !== null) throw new Error(`the controller ended:\n${this.#output}`)
    return fetch(`${this.face}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  }

  async kill(): Promise<void> {
    const child = this.controller()
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  async status(): Promise<Status> {
    return Status.parse(await overSocket(join(this.state, 'admin.sock'), 'GET', '/status'))
  }

  async becomes(commit: string): Promise<CommitStatus> {
    const limit = Date.now() + 540_000
    for (;;) {
      const answer = await fetch(`${this.face}/commits/${commit}?wait=10`).catch(() => undefined)
      if (answer?.status === 200) {
        const status = CommitStatus.parse(await answer.json())
        if (['applied', 'degraded', 'rejected', 'held', 'superseded'].includes(status.phase)) return status
      } else await new Promise((done) => setTimeout(done, 100))
      if (Date.now() > limit)
        throw new Error(
          `${commit} has no final phase:\n${JSON.stringify(await this.status(), null, 1)}\n${this.#output.slice(-5_000)}`,
        )
    }
  }

  async deliver(): Promise<number> {
    const body = JSON.stringify({ ref: 'refs/heads/main' })
    const { status } = await fetch(`${this.face}/webhook/forgejo`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-forgejo-delivery': crypto.randomUUID(),
        'x-forgejo-event': 'push',
        'x-forgejo-signature': createHmac('sha256', webhookSecret).update(body).digest('hex'),
      },
    })
    return status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.controller()
    if (child.exitCode !== null || child.signalCode !== null) await this.start()
    await overSocket(join(this.state, 'admin.sock'), 'POST', '/down?volumes=true')
    const running = this.controller()
    const ended = once(running, 'exit')
    running.kill('SIGTERM')
    await ended
    await rm(this.state, { recursive: true, force: true, maxRetries: 5 })
  }
}

function overSocket(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: 120_000 }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (answer.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`))
      })
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)))
    asked.end()
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const port = portOf(server)
  await new Promise((done) => server.close(done))
  return port
}

/** A token as `gateway token new` makes them, and what stands for it in `permissions.yaml`. */
export function testToken(): { readonly token: string; readonly hash: string } {
  const token = `cgw_${randomBytes(32).toString('base64url')}`
  return { token, hash: `sha256:${createHash('sha256').update(token).digest('hex')}` }
}
