import type { ServerResponse } from 'node:http'
import type { Grant } from '#manifests/table.ts'
import { wholeOf } from './body.ts'
import { keepPrivate } from './bridge.ts'
import { type CutterOptions, createEventCutter } from './event-cutter.ts'
import { isWhole } from './grant.ts'
import { isRecord } from './message.ts'
import { clientHeaders } from './pass.ts'
import { answerLimit, streamReceiver, textReceiver } from './post.ts'
import { find } from './relabel.ts'
import { sendJson, startStream } from './reply.ts'
import type { Session } from './session.ts'
import { sift } from './sift.ts'
import { eventOf } from './sse.ts'
import { mayHoldState } from './state-seal.ts'
import type { Head, Receiver } from './transfer.ts'
import { Unfit } from './unfit.ts'

/** Where and how an upstream's answer is carried to the client. */
export interface Carriage {
  readonly response: ServerResponse
  readonly grant: Grant
  readonly session: Session | undefined
  /** Whether the client reads event streams. */
  readonly streams: boolean
  readonly batch: boolean
  /** Whether the answer says how long whom may keep it. */
  readonly cached: boolean
  /** Called with each piece that is more than a sign of life. */
  readonly progress: (bytes: number) => void
  /** What the pins make of a message; absent where that is nothing. */
  readonly pinned?: (text: string) => string
  /** Seals what the upstream wants back in a message; absent where that is nothing. */
  readonly sealed?: ((text: string) => string) | undefined
  /** Called when the client has its answer, whether or not the upstream ends its own. */
  readonly answered: () => void
}

/** Begins to carry an answer: as it is where it can be, sifted where the grant leaves something out, kept to its agent where others might keep it too, as one JSON body where the client takes no stream. */
export function carry(head: Head, carriage: Carriage): Receiver {
  if (head.status >= 400 && head.status !== 405) return errorText(head, carriage)
  const stream = head.type === 'text/event-stream'
  const { grant, cached, pinned = asWritten, sealed = asWritten } = carriage
  const sifted = isWhole(grant) ? pinned : (text: string) => sift(grant, pinned(text))
  const sifting = cached ? (text: string) => forAgent(sealed(sifted(text))) : (text: string) => sealed(sifted(text))
  if (stream && !carriage.streams) return observed(collapse(head, carriage, sifting), carriage)
  if (isWhole(grant) && carriage.pinned === undefined && !cached) {
    if (carriage.sealed === undefined) return observed(asItIs(head, carriage), carriage)
    return observed(
      stream ? siftStream(head, carriage, { sifting: sealed, ...short }) : sealText(head, carriage, sealed),
      carriage,
    )
  }
  return observed(
    stream ? siftStream(head, carriage, { sifting, ...whole }) : siftText(head, carriage, sifting),
    carriage,
  )
}

const asWritten = (text: string) => text

/** What a server lets anybody keep, or for long, is for the agent alone, and as long as it is granted. */
function forAgent(text: string): string {
  const says = ['ttlMs', 'cacheScope'].some((key) => find(text, ['result', key]) !== undefined)
  return says ? keepPrivate(text) : text
}

const colon = 0x3a

/** A comment of an event stream keeps a connection open and is no progress. */
function observed(receiver: Receiver, { progress }: Carriage): Receiver {
  return {
    write: (chunk) => {
      if (chunk[0] !== colon) progress(chunk.length)
      return receiver.write(chunk)
    },
    drained: (resume) => receiver.drained(resume),
    end: () => receiver.end(),
  }
}

function asItIs(head: Head, carriage: Carriage): Receiver {
  const { response } = carriage
  setSession(carriage)
  if (head.type === 'text/event-stream') startStream(response, head.status)
  else response.writeHead(head.status, clientHeaders(head))
  return {
    write: (chunk) => response.write(chunk),
    drained: (resume) => void response.once('drain', resume),
    end: () => void response.end(),
  }
}

/** An error is carried with its status where it is one of the protocol; others are not for the client. */
function errorText({ status, type }: Head, carriage: Carriage): Receiver {
  return textReceiver((text) => {
    const parsed: unknown = text === '' ? undefined : JSON.parse(text)
    if (!Array.isArray(parsed) && !(isRecord(parsed) && isRecord(parsed.error)))
      throw new Unfit(`HTTP ${status} ${type}`.trim())
    setSession(carriage)
    sendJson(carriage.response, status, text)
  })
}

function setSession({ response, session }: Carriage): void {
  if (session !== undefined) response.setHeader('mcp-session-id', session.id)
}

function siftText(head: Head, carriage: Carriage, sifting: (text: string) => string): Receiver {
  return textReceiver((text) => {
    setSession(carriage)
    if (text === '') carriage.response.writeHead(head.status).end()
    else sendJson(carriage.response, head.status, sifting(text))
  })
}

function collapse(head: Head, carriage: Carriage, sifting: (text: string) => string): Receiver {
  const answers: string[] = []
  const take = (text: string) => {
    const parsed: unknown = JSON.parse(text)
    if (!Array.isArray(parsed) && !(isRecord(parsed) && parsed.method === undefined)) return
    answers.push(sifting(text))
    if (!carriage.batch) finish()
  }
  const finish = () => {
    const [first] = answers
    if (first === undefined) throw new Unfit('its stream ended without an answer')
    if (carriage.response.headersSent) return
    setSession(carriage)
    sendJson(
      carriage.response,
      head.status,
      carriage.batch && !first.startsWith('[') ? `[${answers.join(',')}]` : first,
    )
    carriage.answered()
  }
  return streamReceiver(take, { done: finish })
}

/** What is longer holds no state: a server's demand for input is short. */
const short = { most: 1024 * 1024, longer: 'pass' } as const
const whole = { most: answerLimit, longer: 'refuse' } as const

/** Passes on what is long as it comes; the rest is looked at as a whole. */
function sealText(head: Head, carriage: Carriage, sealed: (text: string) => string): Receiver {
  const chunks: Buffer[] = []
  let size = 0
  let onward: Receiver | undefined
  const pass = () => {
    onward = asItIs(head, carriage)
    return onward.write(wholeOf(chunks.splice(0)))
  }
  return {
    write: (chunk) => {
      if (onward !== undefined) return onward.write(chunk)
      size += chunk.length
      chunks.push(chunk)
      return size > short.most ? pass() : true
    },
    drained: (resume) => void carriage.response.once('drain', resume),
    end: () => {
      const text = onward === undefined ? wholeOf(chunks).toString() : ''
      if (!mayHoldState.test(text)) {
        if (onward === undefined) pass()
        onward?.end()
        return
      }
      setSession(carriage)
      sendJson(carriage.response, head.status, sealed(text))
    },
  }
}

interface Looking extends Pick<CutterOptions, 'most' | 'longer'> {
  readonly sifting: (text: string) => string
}

/** Only the data of events is looked at, so that ids for resuming and retry times stay as they are. */
function siftStream(head: Head, carriage: Carriage, { sifting, ...bounds }: Looking): Receiver {
  const { response } = carriage
  setSession(carriage)
  startStream(response, head.status)
  let isRoom = true
  let isEnding = false
  const take = (text: string, form: 'event' | 'piece') => {
    const end = form === 'event' && !isEnding ? '\n\n' : ''
    isRoom = response.write(form === 'event' ? `${siftEvent(text, sifting)}${end}` : text)
  }
  const cutter = createEventCutter({ take, ...bounds })
  return {
    write: (chunk) => {
      isRoom = true
      cutter.feed(chunk)
      return isRoom
    },
    drained: (resume) => void response.once('drain', resume),
    end: () => {
      isEnding = true
      cutter.end()
      response.end()
    },
  }
}

function siftEvent(event: string, sifting: (text: string) => string): string {
  const lines = event.split('\n')
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''))
  const text = data.join('\n')
  if (text.trim() === '') return event
  const sifted = sifting(text)
  if (sifted === text) return event
  const others = lines.filter((line) => !line.startsWith('data:') && !line.startsWith('event:'))
  return [...others, eventOf(sifted).trimEnd()].join('\n')
}
