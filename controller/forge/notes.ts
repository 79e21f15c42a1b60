import { z } from 'zod'
import type { PullKeep } from '../journal/pulls.ts'
import type { Outbox } from '../outbox.ts'
import type { Forge } from './client.ts'
import { markerOf, staleComment } from './comment.ts'
import { forgeKinds, unwelcome } from './desk.ts'

/** One comment of ours for each pull request, edited in place. Written by the outbox, whenever the forge takes it. */
export interface Notes {
  say(number: number, comment: string): void
  /** What was said is of an older head than this. */
  markStale(number: number, head: string): void
  /** Looks whether what was said is still what stands there, and says it again if not. */
  check(number: number, signal: AbortSignal): Promise<void>
  forget(number: number): void
}

export interface NotesOptions {
  readonly forge: Forge
  readonly outbox: Outbox
  readonly journal: PullKeep
  /** What marks a comment as ours. */
  readonly of: string
}

/** The same text again is another letter once what stands there is another. */
const Letter = z.object({ body: z.string(), again: z.number() })
type Letter = z.infer<typeof Letter>

export function openNotes(options: NotesOptions): Notes {
  const { outbox, journal, forge } = options
  const last = (number: number): Letter | undefined => {
    const sent = outbox.lastSent(forgeKinds.plan, `${number}`)
    return sent === undefined ? undefined : Letter.parse(JSON.parse(sent))
  }
  const send = (number: number, letter: Letter) => outbox.send(forgeKinds.plan, `${number}`, JSON.stringify(letter))
  outbox.employ({
    kind: forgeKinds.plan,
    carry: async (key, body, signal) => {
      await write(options, { number: Number(key), body: Letter.parse(JSON.parse(body)).body, signal }).catch(unwelcome)
    },
  })
  return {
    say: (number, body) => send(number, { body, again: last(number)?.again ?? 0 }),
    markStale(number, head) {
      const before = last(number)
      if (before !== undefined) send(number, { ...before, body: staleComment(before.body, head) })
    },
    async check(number, signal) {
      // What is on its way does not stand there yet.
      if (outbox.delivery(forgeKinds.plan).waiting > 0) return
      const id = journal.pullComment(number)
      const said = last(number)
      if (id === undefined || said === undefined) return
      const found = (await forge.comments(number, signal)).find((comment) => comment.id === id)
      if (found === undefined || plain(found.body) !== plain(said.body))
        send(number, { ...said, again: said.again + 1 })
    },
    forget: (number) => journal.forgetPullComment(number),
  }
}

function plain(body: string): string {
  return body.replace(/\r\n/g, '\n').trim()
}

interface Note {
  readonly number: number
  readonly body: string
  readonly signal: AbortSignal
}

async function write({ forge, journal, of }: NotesOptions, { number, body, signal }: Note): Promise<void> {
  const id = journal.pullComment(number) ?? (await findOwn({ forge, journal, of }, number, signal))
  const written =
    (id === undefined ? undefined : await forge.editComment(id, body, signal)) ??
    (await forge.comment(number, body, signal))
  journal.keepPullComment(number, written.id)
  const login = forge.self()
  if (login !== undefined) journal.keepForgeLogin(login)
}

/** Anybody may write our marker, so that a comment is ours only if we wrote it. */
async function findOwn(
  { forge, journal, of }: Omit<NotesOptions, 'outbox'>,
  number: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const self = forge.self() ?? journal.forgeLogin()
  if (self === undefined) return undefined
  const comments = await forge.comments(number, signal)
  return comments.find(({ author, body }) => author === self && body.startsWith(markerOf(of)))?.id
}
