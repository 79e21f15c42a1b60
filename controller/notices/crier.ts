import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Status } from '#manifests/status.ts'
import type { Bell } from '../bell.ts'
import type { Notifications } from '../desired.ts'
import type { NoticeKeep } from '../journal/notices.ts'
import { type Outbox, Unwelcome } from '../outbox.ts'
import { type Channel, channels, channelsOf, letterOf } from './letter.ts'
import { Notice } from './notice.ts'
import { type Telling, tell } from './told.ts'

export interface CrierOptions {
  readonly journal: NoticeKeep
  readonly outbox: Outbox
  readonly log: Logger
  /** Rings whenever the status may have changed. */
  readonly bell: Bell
  readonly status: () => Promise<Status>
  /** As the commit says that is applied; undefined where nobody is to be told. */
  readonly notifications: () => Notifications | undefined
  readonly secrets: () => Promise<ReadonlyMap<string, string>>
  /** The status page, for people to click. */
  readonly page: string
}

/** A trouble that lasts is looked at again so often, ms; and no more often than each `rest`. */
const interval = 5_000
const rest = 500
const hour = 3_600_000
const answerWithin = 10_000

/** Tells people when something breaks, and when it is well again, as `notifications` of gateway.yaml says. Nothing waits for it. */
export function openCrier(options: CrierOptions): AsyncDisposable {
  const ending = new AbortController()
  for (const channel of channels)
    options.outbox.employ({
      kind: kindOf(channel),
      carry: (_, body, signal) => carry(channel, body, options, signal),
    })
  const crying = cry(options, ending.signal)
  return {
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('the controller stops'))
      await crying
    },
  }
}

/** What letters to a channel are called in the outbox. */
export function kindOf(channel: Channel): string {
  return `notice-${channel}`
}

async function cry(options: CrierOptions, signal: AbortSignal): Promise<void> {
  const { journal, bell, log } = options
  let before: Omit<Telling, 'notices'> = { told: journal.toldTroubles(), noted: new Map() }
  const times: number[] = []
  while (!signal.aborted) {
    await bell.next(interval, signal)
    await pause(rest, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    const notifications = options.notifications()
    if (notifications === undefined) continue
    try {
      const { notices, ...now } = tell(await options.status(), before, Date.now())
      // What cannot be remembered is told the next time.
      if (notices.length > 0) journal.rememberTold(now.told)
      before = now
      for (const notice of notices) send(notice, { notifications, times, options })
    } catch (error) {
      log.error({ err: error }, 'nobody could be told')
    }
  }
}

function send(
  notice: Notice,
  { notifications, times, options }: { notifications: Notifications; times: number[]; options: CrierOptions },
): void {
  if (!notifications.about.includes(notice.kind)) return
  const now = Date.now()
  while ((times[0] ?? now) <= now - hour) times.shift()
  if (times.length >= notifications.most) {
    options.log.warn({ subject: notice.subject, kind: notice.kind }, 'not told: more than an hour may have')
    return
  }
  times.push(now)
  for (const channel of channelsOf(notifications))
    options.outbox.send(kindOf(channel), notice.subject, JSON.stringify(notice))
}

/** An address may be a secret, so no error repeats it. */
async function carry(channel: Channel, body: string, options: CrierOptions, signal: AbortSignal): Promise<void> {
  const notifications = options.notifications()
  if (notifications?.[channel] === undefined) return
  const secrets = await options.secrets()
  const letter = letterOf(Notice.parse(JSON.parse(body)), channel, { notifications, secrets, page: options.page })
  if (typeof letter === 'string') throw new Unwelcome(letter)
  const answer = await fetch(letter.url, {
    method: 'POST',
    headers: letter.headers,
    body: letter.body,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithin)]),
  }).catch((error: unknown) => {
    throw new Error(`notifications.${channel}: no answer (${causeOf(error)})`)
  })
  await answer.body?.cancel()
  if (answer.ok) return
  const words = `notifications.${channel}: answered ${answer.status}`
  throw answer.status >= 400 && answer.status < 500 && answer.status !== 429 ? new Unwelcome(words) : new Error(words)
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause
    ? String(cause.code)
    : error instanceof Error
      ? error.name
      : 'unknown'
}
