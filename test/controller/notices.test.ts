import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import type { Status } from '#manifests/status.ts'
import { createBell } from '../../controller/bell.ts'
import type { Notifications } from '../../controller/desired.ts'
import { openJournal } from '../../controller/journal/journal.ts'
import { openCrier } from '../../controller/notices/crier.ts'
import { type Telling, tell } from '../../controller/notices/told.ts'
import { openOutbox } from '../../controller/outbox.ts'
import { commitStatus, serverStatus } from '../support/controller.ts'
import { portOf } from '../support/port.ts'
import { until } from '../support/until.ts'

const sha = 'a1'.repeat(20)

function status(more: Partial<Status> = {}): Status {
  return {
    instance: 'gateway',
    version: '0',
    repository: 'r',
    branch: 'main',
    source: { ok: true, reason: 'answers' },
    host: { ok: true, reason: 'answers' },
    attempted: commitStatus(sha),
    revision: 1,
    proxies: [],
    servers: [serverStatus('wiki')],
    ...more,
  }
}

const stalled = status({
  attempted: commitStatus(sha, { phase: 'degraded', reason: 'wiki is not as the commit says' }),
  servers: [serverStatus('wiki', { phase: 'stalled', reason: 'the build failed' })],
})
const nothing: Omit<Telling, 'notices'> = { told: new Map(), noted: new Map() }
const words = ({ notices }: Telling) => notices.map(({ kind, subject, text }) => `${kind} ${subject}: ${text}`)

describe('what is told', () => {
  test('is each trouble once, and its end', () => {
    const first = tell(stalled, nothing, 1_000)
    expect(words(first)).toEqual([
      'degraded commit: a1a1a1a1a1a1 is degraded: wiki is not as the commit says',
      'stalled server wiki: the build failed',
    ])
    const again = tell(stalled, first, 2_000)
    expect(words(again)).toEqual([])
    const onItsWay = tell(status({ attempted: commitStatus(sha, { phase: 'applying' }) }), again, 3_000)
    expect(words(onItsWay)).toEqual([])
    expect(words(tell(status(), onItsWay, 4_000))).toEqual([
      'recovered commit: commit is well again (it was: a1a1a1a1a1a1 is degraded: wiki is not as the commit says)',
      'recovered server wiki: server wiki is well again (it was: the build failed)',
    ])
  })

  test('is told again when the reason becomes another', () => {
    const first = tell(stalled, nothing, 1_000)
    const other = { ...stalled, servers: [serverStatus('wiki', { phase: 'stalled' as const, reason: 'crash loop' })] }
    expect(words(tell(other, first, 2_000))).toEqual(['stalled server wiki: crash loop'])
  })

  test('names what is held, with the plan to approve', () => {
    const held = status({
      attempted: commitStatus(sha, { phase: 'held', reason: 'removing 5: gateway approve 1a2b3c4d' }),
    })
    expect(words(tell(held, nothing, 1_000))).toEqual([
      'held commit: a1a1a1a1a1a1 is held: removing 5: gateway approve 1a2b3c4d',
    ])
  })

  test('is not told of what passes by itself', () => {
    const down = status({ source: { ok: false, reason: 'no route to host' } })
    const first = tell(down, nothing, 0)
    expect(words(first)).toEqual([])
    expect(words(tell(down, first, 299_000))).toEqual([])
    expect(words(tell(down, first, 300_000))).toEqual(['degraded repository: no route to host'])
    expect(words(tell(status(), first, 301_000))).toEqual([])
  })
})

describe('a notice', () => {
  const closing: (() => PromiseLike<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function receiver(answers: readonly number[] = []) {
    const heard: { url: string; headers: Record<string, unknown>; body: string }[] = []
    const codes = [...answers]
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      heard.push({ url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() })
      response.writeHead(codes.shift() ?? 200).end()
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    closing.push(async () => {
      server.closeAllConnections()
      server.close()
    })
    return { heard, url: `http://127.0.0.1:${portOf(server)}/hook` }
  }

  async function cry(
    notifications: Notifications | undefined,
    secrets: Readonly<Record<string, string>> = {},
    rememberTold?: (told: Telling['told']) => void,
  ) {
    const state = await mkdtemp(join(tmpdir(), 'crier-'))
    closing.push(() => rm(state, { recursive: true, force: true }))
    const journal = openJournal(state)
    closing.push(async () => journal[Symbol.dispose]())
    const bell = createBell()
    let now = stalled
    const log = pino({ level: 'silent' })
    const outbox = openOutbox(journal, log)
    const crier = openCrier({
      ...{ outbox, log, bell, page: 'http://page.example' },
      journal: { ...journal, ...(rememberTold && { rememberTold }) },
      status: async () => now,
      notifications: () => notifications,
      secrets: async () => new Map(Object.entries(secrets)),
    })
    closing.push(() => outbox[Symbol.asyncDispose]())
    closing.push(() => crier[Symbol.asyncDispose]())
    bell.ring()
    return {
      outbox,
      become(next: Status) {
        now = next
        bell.ring()
      },
    }
  }

  const all = { about: ['degraded', 'stalled', 'held', 'recovered'], most: 20 } as const

  test('reaches a webhook as JSON, at an address that is a secret', async () => {
    const { heard, url } = await receiver()
    const { become } = await cry({ ...all, webhook: { secret: 'HOOK' } }, { HOOK: url })
    await until('two are heard', () => heard.length === 2)
    expect(heard.map(({ body }) => JSON.parse(body))).toEqual([
      expect.objectContaining({ kind: 'degraded', subject: 'commit', commit: sha, page: 'http://page.example' }),
      expect.objectContaining({
        kind: 'stalled',
        subject: 'server wiki',
        text: 'the build failed',
        instance: 'gateway',
      }),
    ])
    become(status())
    await until('the end is heard', () => heard.length === 4)
  })

  test('reaches ntfy as it wants it', async () => {
    const { heard, url } = await receiver()
    await cry({ ...all, about: ['stalled'], ntfy: { url, token: 'TOKEN' } }, { TOKEN: 'one' })
    await until('it is heard', () => heard.length === 1)
    expect(heard[0]).toMatchObject({
      body: 'the build failed',
      headers: { title: 'gateway: server wiki stalled', priority: 'high', authorization: 'Bearer one' },
    })
  })

  test('is told later where nobody listens, and no more than an hour may have', async () => {
    const { heard, url } = await receiver([503])
    await cry({ ...all, most: 1, webhook: { url } })
    await until('it is heard in the end', () => heard.length === 2)
    expect(new Set(heard.map(({ body }) => body)).size).toBe(1)
  })

  test('is told once it can be remembered', async () => {
    const { heard, url } = await receiver()
    const refusals = [new Error('disk full')]
    const { become } = await cry({ ...all, webhook: { url } }, {}, () => {
      const refusal = refusals.pop()
      if (refusal !== undefined) throw refusal
    })
    await until('it was refused', () => refusals.length === 0)
    become(stalled)
    await until('both are heard', () => heard.length === 2)
  })

  test('names the key, and never the address, where it cannot be told', async () => {
    const { url } = await receiver([404])
    const { outbox } = await cry({ ...all, about: ['stalled'], webhook: { url }, ntfy: { secret: 'NOWHERE' } })
    await until(
      'both failed',
      () => outbox.delivery('notice-webhook').trouble && outbox.delivery('notice-ntfy').trouble,
    )
    expect(outbox.delivery('notice-webhook').trouble).toBe('notifications.webhook: answered 404')
    expect(outbox.delivery('notice-ntfy').trouble).toBe('notifications.ntfy: the secret NOWHERE is no http(s) URL')
  })
})
