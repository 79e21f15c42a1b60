import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { deflateSync } from 'node:zlib'
import { askBehind, type Exchange, openRelay } from './relay.ts'

/** Where a fetch is at: what the server can do, where its branches are, the objects (gitprotocol-http and -v2). */
export type Stage = 'greeting' | 'refs' | 'pack'

/** What the server would have said. */
export interface Said {
  readonly type: string
  readonly body: Buffer
}

/** What is sent instead, from now on, to who asks at this stage. */
export interface Distortion {
  readonly stage: Stage
  readonly send: (response: ServerResponse, said: Said) => void | Promise<void>
}

/** A way to a git server over HTTP on which answers can be distorted. */
export interface GitWay extends AsyncDisposable {
  readonly url: string
  distortion: Distortion | undefined
  /** Stages that were asked at, in order. */
  readonly asked: Stage[]
}

/** To the repository that `target` is the address of. */
export async function openGitWay(target: string): Promise<GitWay> {
  const { origin, pathname } = new URL(target)
  const relay = await openRelay((exchange) => pass(origin, way, exchange))
  const way: GitWay = {
    url: `${relay.origin}${pathname}`,
    distortion: undefined,
    asked: [],
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  }
  return way
}

const names = ['content-type', 'content-encoding', 'git-protocol', 'authorization', 'accept']

async function pass(origin: string, way: GitWay, { request, response }: Exchange): Promise<void> {
  const body = await buffer(request)
  const stage = request.method === 'GET' ? 'greeting' : body.includes('command=ls-refs') ? 'refs' : 'pack'
  way.asked.push(stage)
  const { distortion } = way
  const { answer, bytes } = await askBehind(origin, { request, body, names })
  const said = { type: answer.headers.get('content-type') ?? '', body: bytes }
  if (distortion?.stage === stage) return distortion.send(response, said)
  response.writeHead(answer.status, { 'content-type': said.type }).end(said.body)
}

export type Send = Distortion['send']

/** Half of it, and then nothing any more, with the connection left open. */
export const stalls: Send = (response, { type, body }) => {
  response.writeHead(200, { 'content-type': type }).write(body.subarray(0, body.length / 2))
}

export const hangs: Send = () => {}

export const resets: Send = (response) => void response.socket?.resetAndDestroy()

/** Half of it, and then a broken connection. */
export const breaks: Send = (response, { type, body }) => {
  response.writeHead(200, { 'content-type': type }).write(body.subarray(0, body.length / 2), () => {
    response.socket?.resetAndDestroy()
  })
}

/** Half of it, and an end in good order. */
export const halves: Send = (response, { type, body }) => {
  response.writeHead(200, { 'content-type': type }).end(body.subarray(0, body.length / 2))
}

/** A byte now and then. */
export const drips: Send = (response, { type, body }) => {
  response.writeHead(200, { 'content-type': type })
  let at = 0
  const beat = setInterval(() => response.write(body.subarray(at, ++at)), 200)
  response.once('close', () => clearInterval(beat))
}

/** Something else of the right kind. */
export const says =
  (content: string | Buffer): Send =>
  (response, { type }) =>
    void response.writeHead(200, { 'content-type': type }).end(content)

/** Another length than it has, with the connection left open. */
export const claims =
  (times: number): Send =>
  (response, { type, body }) => {
    const length = Math.floor(body.length * times)
    response.socket?.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`)
    response.socket?.write(body)
  }

/** The same again and again, without end. */
export const repeats =
  (piece: string | Buffer, start: (said: Said) => Buffer = () => Buffer.alloc(0)): Send =>
  (response, said) => {
    response.writeHead(200, { 'content-type': said.type }).write(start(said))
    const many = Buffer.alloc(piece.length * Math.ceil(65_536 / piece.length), piece)
    const more = () => {
      if (response.destroyed) return
      while (response.write(many));
      response.once('drain', more)
    }
    more()
  }

/** All that comes before the objects. */
function beforeObjects({ body }: Said): Buffer {
  const mark = 'packfile\n'
  return body.subarray(0, body.indexOf(mark) + mark.length)
}

/** A word on how far it is, again and again, before the objects come. */
export const dawdles =
  (times: number, every: number): Send =>
  async (response, said) => {
    const start = beforeObjects(said)
    response.writeHead(200, { 'content-type': said.type }).write(start)
    for (let at = 0; at < times; at++) {
      await new Promise((done) => setTimeout(done, every))
      response.write(packet(`\x02${at}\n`))
    }
    response.end(said.body.subarray(start.length))
  }

/** A line of git's protocol (gitprotocol-common). */
export function packet(content: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from((content.length + 4).toString(16).padStart(4, '0')), Buffer.from(content)])
}

/** Objects without end: a pack (gitformat-pack) that is to have a million, of 1 MiB each. */
export function swells(): Send {
  const content = deflateSync(randomBytes(2 ** 20), { level: 0 })
  const object = Buffer.concat([Buffer.from([0xb0, 0x80, 0x80, 0x04]), content])
  const data = (bytes: Buffer) => packet(Buffer.concat([Buffer.from([1]), bytes]))
  const pieces: Buffer[] = []
  for (let at = 0; at < object.length; at += 50_000) pieces.push(data(object.subarray(at, at + 50_000)))
  const head = Buffer.from('PACK\0\0\0\x02\0\x0f\x42\x40', 'latin1')
  return repeats(Buffer.concat(pieces), (said) => Buffer.concat([beforeObjects(said), data(head)]))
}

export const answers =
  (status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Send =>
  (response) =>
    void response.writeHead(status, { ...headers }).end(body)
