import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { crc32, deflateSync } from 'node:zlib'
import { portOf } from './port.ts'

/** What the fake does with a request for a task, instead of making one. */
export type Trick =
  /** Refuses it under HTTP 200. */
  | { readonly code: number; readonly msg: string }
  /** Answers as a broken gateway does. */
  | { readonly http: number; readonly body: string }
  /** Makes the task, and does not name it. */
  | 'unnamed'
  /** Makes the task, and ends the connection. */
  | 'cut'
  /** Makes the task, and never answers. */
  | 'mute'

export interface FakeTask {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
  readonly pictures: number
  state: 'running' | 'done' | 'failed'
  /** What the service says of a failure. */
  reason: string
}

export interface Asked {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Readonly<Record<string, unknown>>
}

/** midapi.ai as its contract has it, with tasks that go on as a test says, and the host of its pictures. */
export interface Midapi extends AsyncDisposable {
  readonly url: string
  readonly key: string
  readonly tasks: Map<string, FakeTask>
  /** All but what asks for pictures. */
  readonly asked: readonly Asked[]
  /** How the next requests for tasks are answered, in order. */
  readonly tricks: Trick[]
  /** What tasks are when they are made. */
  begin: FakeTask['state']
  /** Whether results come as text, as some clients have met them. */
  quoted: boolean
  /** Whether a question after a task is answered with this. */
  trouble: { readonly code: number; readonly msg: string } | undefined
  /** Answers for a picture. */
  serve: (request: IncomingMessage, response: ServerResponse, number: number) => void
}

const types: Readonly<Record<string, string>> = { generateUpscale: 'mj_upscale', generateVary: 'mj_variation' }

/** `host` is what others call this machine; where that is not loopback, it listens on every address. */
export async function openMidapi(host = '127.0.0.1'): Promise<Midapi> {
  const fake = new FakeMidapi()
  await fake.listen(host)
  return fake
}

class FakeMidapi implements Midapi {
  readonly key = 'mk-test'
  readonly tasks = new Map<string, FakeTask>()
  readonly asked: Asked[] = []
  readonly tricks: Trick[] = []
  begin: FakeTask['state'] = 'running'
  quoted = false
  trouble: Midapi['trouble']
  url = ''
  serve: Midapi['serve'] = (_, response, number) => {
    response.writeHead(200, { 'content-type': 'image/png' }).end(picture(number))
  }
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  async listen(host: string): Promise<void> {
    await once(this.#server.listen(0, host === '127.0.0.1' ? host : '0.0.0.0'), 'listening')
    this.url = `http://${host}:${portOf(this.#server)}`
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url)
    const [, number] = /^\/img\/[^/]+\/(\d+)/.exec(pathname) ?? []
    if (number !== undefined) return this.serve(request, response, Number(number))
    const text = Buffer.concat(await request.toArray()).toString()
    const body = text === '' ? Object.fromEntries(searchParams) : JSON.parse(text)
    const verb = pathname.replace('/api/v1/mj/', '')
    this.asked.push({ path: verb, authorization: request.headers.authorization, body })
    if (request.headers.authorization !== `Bearer ${this.key}`)
      return say(response, { code: 401, msg: `unauthorized: ${request.headers.authorization}`, data: null })
    if (verb === 'record-info') return say(response, this.#record(String(body.taskId)))
    this.#submit(response, verb, body)
  }

  #submit(response: ServerResponse, verb: string, body: Readonly<Record<string, unknown>>): void {
    const trick = this.tricks.shift()
    const fault = this.#fault(verb, body)
    if (typeof trick === 'object') play(response, trick)
    else if (fault !== undefined) say(response, { code: 422, msg: fault, data: null })
    else {
      const taskId = this.#make(verb, body)
      if (trick === 'cut') response.destroy()
      else if (trick !== 'mute')
        say(response, { code: 200, msg: 'success', data: trick === 'unnamed' ? {} : { taskId } })
    }
  }

  #make(verb: string, body: Readonly<Record<string, unknown>>): string {
    const id = `mj_task_${this.tasks.size + 1}`
    const type = types[verb] ?? String(body.taskType)
    const pictures = verb === 'generateUpscale' ? 1 : 4
    this.tasks.set(id, { type, body, pictures, state: this.begin, reason: 'the prompt was rejected' })
    return id
  }

  #fault(verb: string, { taskId, imageIndex }: Readonly<Record<string, unknown>>): string | undefined {
    if (verb === 'generate') return undefined
    const task = this.tasks.get(String(taskId))
    if (task?.state !== 'done') return 'taskId is no finished task'
    return Number(imageIndex) < task.pictures ? undefined : 'imageIndex is out of range'
  }

  #record(id: string): object {
    if (this.trouble !== undefined) return { ...this.trouble, data: null }
    const task = this.tasks.get(id)
    if (task === undefined) return { code: 422, msg: 'recordInfo is null', data: null }
    const urls = Array.from({ length: task.pictures }, (_, i) => ({ resultUrl: `${this.url}/img/${id}/${i + 1}.png` }))
    const result = { resultUrls: urls }
    const data = {
      taskId: id,
      taskType: task.type,
      paramJson: JSON.stringify(task.body),
      createTime: '2026-01-01T00:00:00Z',
      completeTime: task.state === 'done' ? '2026-01-01T00:01:00Z' : null,
      successFlag: { running: 0, done: 1, failed: 3 }[task.state],
      resultInfoJson: task.state === 'done' ? (this.quoted ? JSON.stringify(result) : result) : null,
      errorCode: task.state === 'failed' ? 400 : null,
      errorMessage: task.state === 'failed' ? task.reason : null,
    }
    return { code: 200, msg: 'success', data }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((done) => this.#server.close(done))
  }
}

function play(response: ServerResponse, trick: Exclude<Trick, string>): void {
  if ('code' in trick) say(response, { ...trick, data: null })
  else response.writeHead(trick.http).end(trick.body)
}

function say(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** The grey of a task's picture, by its number. */
export function greyOf(number: number): number {
  return 40 * number
}

/** A PNG of 8 × 8 pixels in one grey, followed by as many bytes as are wanted, which no decoder reads. */
export function picture(number: number, padding = 0): Buffer {
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(8 * 3, greyOf(number))])
  const header = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0])
  const pixels = deflateSync(Buffer.concat(Array.from({ length: 8 }, () => row)))
  const signature = Buffer.from('89504e470d0a1a0a', 'hex')
  const whole = [signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([...whole, Buffer.alloc(padding)])
}

function chunk(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, check])
}
