import { createHmac, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createFace } from '../../controller/face/http.ts'
import { createMemoryController } from '../support/controller.ts'
import { suite } from '../support/machine.ts'

const url = '/webhook/forgejo'
const secret = 'for this test'
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0)) await close()
})

function open(webhookSecrets: readonly string[]) {
  const controller = createMemoryController()
  const face = createFace(controller, { webhookSecrets })
  closing.push(() => face.close())
  const post = (payload: string | Buffer, headers: Record<string, string>) =>
    face.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } })
  return { controller, face, post }
}

function sign(body: string | Buffer, key = secret): string {
  return createHmac('sha256', key).update(body).digest('hex')
}

describe('a webhook', () => {
  test.each([
    ['x-forgejo-signature', ''],
    ['x-gitea-signature', ''],
    ['x-hub-signature-256', 'sha256='],
  ])('is taken with a good %s, and asks for a pass', async (header, prefix) => {
    const { controller, post } = open([secret])
    expect((await post('{}', { [header]: prefix + sign('{}') })).statusCode).toBe(202)
    expect(controller.pokes).toEqual(['webhook'])
  })

  test.each([
    ['none', {}],
    ['an empty one', { 'x-forgejo-signature': '' }],
    ['an empty one with a prefix', { 'x-hub-signature-256': 'sha256=' }],
    ['one that is too short', { 'x-forgejo-signature': sign('{}').slice(2) }],
    ['one that is no hex', { 'x-forgejo-signature': 'z'.repeat(64) }],
    ['one by another secret', { 'x-forgejo-signature': sign('{}', 'another') }],
    ['one of another body', { 'x-forgejo-signature': sign('{ }') }],
    [
      'a wrong one beside a good one of less rank',
      { 'x-forgejo-signature': sign('x'), 'x-gitea-signature': sign('{}') },
    ],
    ['an empty one beside a good one of less rank', { 'x-forgejo-signature': '', 'x-gitea-signature': sign('{}') }],
  ])('is refused with %s', async (_name, headers) => {
    const { controller, post } = open([secret])
    expect((await post('{}', headers)).statusCode).toBe(401)
    expect(controller.pokes).toEqual([])
  })

  test('is taken with any of the secrets while they are rotated', async () => {
    const { post } = open(['old', 'new'])
    for (const key of ['old', 'new'])
      expect((await post('{}', { 'x-forgejo-signature': sign('{}', key) })).statusCode).toBe(202)
  })

  test('does not exist without a secret', async () => {
    const { post } = open([])
    expect((await post('{}', { 'x-forgejo-signature': sign('{}', '') })).statusCode).toBe(404)
  })

  test('is not read, so that its body may be anything', async () => {
    const { post } = open([secret])
    for (const body of ['not json', '', '{"__proto__": 1}', Buffer.from([0xff, 0xfe])])
      expect((await post(body, { 'x-forgejo-signature': sign(body) })).statusCode).toBe(202)
  })

  test('asks for a pass once per delivery and day', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { controller, post } = open([secret])
    const headers = { 'x-forgejo-signature': sign('{}'), 'x-forgejo-delivery': randomUUID() }
    expect((await post('{}', headers)).statusCode).toBe(202)
    expect((await post('{}', headers)).statusCode).toBe(200)
    expect(controller.pokes).toHaveLength(1)
    vi.setSystemTime(Date.now() + 25 * 3600 * 1000)
    expect((await post('{}', headers)).statusCode).toBe(202)
  })

  test('with a wrong signature does not use up its delivery', async () => {
    const { post } = open([secret])
    const delivery = { 'x-forgejo-delivery': randomUUID() }
    expect((await post('{}', { ...delivery, 'x-forgejo-signature': sign('x') })).statusCode).toBe(401)
    expect((await post('{}', { ...delivery, 'x-forgejo-signature': sign('{}') })).statusCode).toBe(202)
  })

  test('may have five MiB and no more', async () => {
    const { controller, post } = open([secret])
    const most = Buffer.alloc(5 * 1024 * 1024, 'x')
    expect((await post(most, { 'x-forgejo-signature': sign(most) })).statusCode).toBe(202)
    const more = Buffer.alloc(most.length + 1, 'x')
    expect((await post(more, { 'x-forgejo-signature': sign(more) })).statusCode).toBe(413)
    expect(controller.pokes).toHaveLength(1)
  })

  test('is not heard for a minute from where many wrong ones came', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { face, post } = open([secret])
    for (let attempt = 0; attempt < 20; attempt++) await post('{}', { 'x-forgejo-signature': sign('x') })
    const good = { 'x-forgejo-signature': sign('{}') }
    expect((await post('{}', good)).statusCode).toBe(429)
    const elsewhere = { method: 'POST', url, payload: '{}', headers: good, remoteAddress: '192.0.2.7' } as const
    expect((await face.inject(elsewhere)).statusCode).toBe(202)
    vi.setSystemTime(Date.now() + 61_000)
    expect((await post('{}', good)).statusCode).toBe(202)
  })

  test('is a POST', async () => {
    const { face } = open([secret])
    expect((await face.inject({ url })).headers.allow).toBe('POST')
  })
})

const Captured = z.object({ headers: z.record(z.string(), z.string()) })

suite('deliveries captured from Forgejo', ['shared-data'], () => {
  const folder = new URL('../../../shared/data/forgejo/', import.meta.url)
  const secretOf = (index: string) => /secret `([^`]+)`/.exec(index)?.[1] ?? ''
  // A skipped suite's body runs too.
  const names = (existsSync(folder) ? readdirSync(folder) : []).filter((name) =>
    /^webhook-.*(?<!headers)\.(json|form\.txt)$/.test(name),
  )
  /** Forgejo signs a form's decoded payload, and sends an empty signature without a secret. */
  const refused: Readonly<Record<string, string>> = {
    'webhook-push-form-encoded.form.txt': 'choose the content type application/json',
    'webhook-push-no-secret.json': 'give the webhook its secret',
  }

  test('are all there', () => expect(names).toHaveLength(44))

  test.each(names)('%s', async (name) => {
    const { headers } = Captured.parse(
      JSON.parse(readFileSync(new URL(name.replace(/\.(json|form\.txt)$/, '.headers.json'), folder), 'utf8')),
    )
    const { controller, post } = open(['another', secretOf(readFileSync(new URL('INDEX.md', folder), 'utf8'))])
    const { Host: _host, 'Content-Length': _length, ...sent } = headers
    const answer = await post(readFileSync(new URL(name, folder)), sent)
    expect(answer.statusCode).toBe(name in refused ? 401 : 202)
    expect(controller.pokes).toHaveLength(name in refused ? 0 : 1)
    if (name in refused) expect(answer.json().error).toContain(refused[name])
  })
})
