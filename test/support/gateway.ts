import type { ChildProcess } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { CommitStatus, Status } from '#manifests/status.ts'
import { type ControllerProcess, mortal, spawnController, verdictOf } from './controller-process.ts'
import { type Runtime, type Setting, settingOf, webhookSecret } from './setting.ts'
import { endUnits } from './units.ts'
import { until } from './until.ts'

/** A controller in a process of its own, with everything that it runs, as an operator has it. Disposing removes all of it. */
export interface Gateway extends Omit<Setting, 'env'>, AsyncDisposable {
  /** All that the controller has printed. */
  readonly output: () => string
  readonly controller: () => ChildProcess
  status(): Promise<Status>
  /** Asks over the admin socket. */
  ask(method: 'GET' | 'POST', path: string): Promise<unknown>
  /** Waits for the commit's final phase. */
  becomes(commit: string): Promise<CommitStatus>
  /** Ends the controller at once, as a power cut would; what it runs goes on. */
  kill(): Promise<void>
  /** Starts a controller on the same state, maybe with other variables from now on. */
  start(more?: Readonly<Record<string, string>>): Promise<void>
  /** A second controller on the same state and instance, beside the first. */
  startRival(): AsyncDisposable
  /** Starts one that lives until it is doomed. */
  startMortal(): Promise<void>
  /** Has a mortal one killed after so many boundaries from now on. */
  doom(boundaries: number): Promise<void>
  /** Has a mortal one live on. If it was being killed already, it is known to be dead once this is done. */
  spare(): Promise<void>
  /** Delivers a signed webhook of a push; gives the HTTP status. */
  deliver(): Promise<number>
}

export async function startGateway(runtime: Runtime, env: Readonly<Record<string, string>>): Promise<Gateway> {
  const gateway = new TestGateway(await settingOf(runtime, env))
  try {
    await gateway.start()
  } catch (error) {
    await gateway.abandon()
    throw error
  }
  return gateway
}

class TestGateway implements Gateway {
  readonly instance: string
  readonly state: string
  readonly endpoint: string
  readonly face: string
  #env: Readonly<Record<string, string>>
  #process: ControllerProcess | undefined
  #printed = ''

  constructor({ instance, state, endpoint, face, env }: Setting) {
    this.instance = instance
    this.state = state
    this.endpoint = endpoint
    this.face = face
    this.#env = env
  }

  output = () => `${this.#printed}${this.#process?.stdout() ?? ''}${this.#process?.stderr() ?? ''}`

  controller = (): ChildProcess => {
    if (this.#process === undefined) throw new Error('no controller was started')
    return this.#process.child
  }

  start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#env = { ...this.#env, ...more }
    return this.#start()
  }

  startMortal(): Promise<void> {
    return this.#start(mortal)
  }

  async #start(program?: string): Promise<void> {
    this.#printed = this.output()
    this.#process = spawnController(this.#env, program)
    await until('the controller answers', () => this.#isUp(), 60_000).catch((cause: unknown) => {
      throw new Error(`the controller does not answer:\n${this.output()}`, { cause })
    })
  }

  startRival(): AsyncDisposable {
    return spawnController(this.#env)
  }

  /** Whole at once: it may look at any moment. */
  async doom(boundaries: number): Promise<void> {
    const verdict = verdictOf(this.state)
    await writeFile(`${verdict}.new`, String(boundaries))
    await rename(`${verdict}.new`, verdict)
  }

  async spare(): Promise<void> {
    await this.doom(0)
    // One that answers now has passed each boundary of which it had not heard this.
    const answers = () => this.status().then(Boolean, () => false)
    await until('it answers, or is dead', () => this.controller().signalCode !== null || answers(), 60_000)
  }

  async #isUp(): Promise<boolean> {
    if (this.controller().exitCode !== null) throw new Error(`the controller ended:\n${this.output()}`)
    return fetch(`${this.face}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  }

  async kill(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]()
  }

  ask(method: 'GET' | 'POST', path: string): Promise<unknown> {
    return overSocket(join(this.state, 'admin.sock'), method, path)
  }

  async status(): Promise<Status> {
    return Status.parse(await this.ask('GET', '/status'))
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
          `${commit} has no final phase:\n${JSON.stringify(await this.status(), null, 1)}\n${this.output().slice(-5_000)}`,
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
    try {
      const { exitCode, signalCode } = this.controller()
      if (exitCode !== null || signalCode !== null) await this.start()
      await until('the host answers', async () => (await this.status()).host.ok, 60_000)
      await overSocket(join(this.state, 'admin.sock'), 'POST', '/down?volumes=true')
      this.controller().kill('SIGTERM')
      await this.#process?.ended
    } finally {
      await this.abandon()
    }
  }

  /** Leaves nothing of it on this machine, however it fares. */
  async abandon(): Promise<void> {
    await this.kill()
    endUnits(this.state)
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

/** A token as `gateway token new` makes them, and what stands for it in `permissions.yaml`. */
export function testToken(): { readonly token: string; readonly hash: string } {
  const token = `cgw_${randomBytes(32).toString('base64url')}`
  return { token, hash: `sha256:${createHash('sha256').update(token).digest('hex')}` }
}
