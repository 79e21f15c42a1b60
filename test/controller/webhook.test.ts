import { createHmac, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { createFace } from '../../controller/face/http.ts'
import { captured, captureSecret, captures, readCapture } from '../support/captures.ts'
import { createMemoryController } from '../support/controller.ts'
import { suite } from '../support/machine.ts'
import { createReception } from '../support/reception.ts'

const url = '/webhook/forgejo'
const secret = 'for this test'
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0)) await close()
})

function open(webhookSecrets: readonly string[]) {
  const controller = createMemoryController()
  const reception = createReception(webhookSecrets)
  const face = createFace(controller, webhookSecrets.length === 0 ? {} : { webhook: reception })
  closing.push(() => face.close())
  const post = (payload: string | Buffer, headers: Record<string, string>) =>
    face.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } })
  return { controller, face, post, reception }
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
    expect(controller.pokes).toBe(1)
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
    expect(controller.pokes).toBe(0)
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

  test('counts what it takes, what came before, and what it refuses', async () => {
    const { post, reception } = open([secret])
    const headers = { 'x-forgejo-signature': sign('{}'), 'x-forgejo-delivery': randomUUID() }
    for (const given of [headers, headers, { 'x-forgejo-signature': sign('x') }]) await post('{}', given)
    expect(reception.outcomes).toEqual(['taken', 'repeated', 'refused'])
  })

  test('remembers its deliveries beyond a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'webhook-'))
    const id = randomUUID()
    expect(createReception([], join(folder, 'db')).repeated(id)).toBe(false)
    expect(createReception([], join(folder, 'db')).repeated(id)).toBe(true)
    await rm(folder, { recursive: true, force: true })
  })

  test('is taken also while deliveries cannot be remembered', async () => {
    const { controller, post, reception } = open([secret])
    reception.repeated = () => {
      throw new Error('the disk is full')
    }
    expect((await post('{}', { 'x-forgejo-signature': sign('{}') })).statusCode).toBe(202)
    expect(controller.pokes).toBe(1)
  })

  test('of what cannot be read is about the branch, so that one look too many is made', async () => {
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
    expect(controller.pokes).toBe(1)
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
    expect(controller.pokes).toBe(1)
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

suite('deliveries captured from Forgejo', ['shared-data'], () => {
  // A skipped suite's body runs too.
  const names = existsSync(captures) ? captured() : []
  /** Forgejo signs a form's decoded payload, and sends an empty signature without a secret. */
  const refused: Readonly<Record<string, string>> = {
    'webhook-push-form-encoded.form.txt': 'choose the content type application/json',
    'webhook-push-no-secret.json': 'give the webhook its secret',
  }
  /** What else is not about the branch `main`. */
  const pulls = /^webhook-pull_request-/
  const others = /short-ref|branch|tag|rewind|multi|push-force|comment-|label_updated|package|release/

  test('are all there', () => expect(names).toHaveLength(44))

  test.each(names)('%s', async (name) => {
    const { controller, face, reception } = open(['another', captureSecret()])
    const address = await face.listen({ host: '127.0.0.1', port: 0 })
    const { headers, body } = readCapture(name)
    const began = performance.now()
    const answer = await fetch(`${address}${url}`, { method: 'POST', headers, body })
    expect(performance.now() - began).toBeLessThan(1_000)
    if (name in refused) {
      expect(answer.status).toBe(401)
      expect(await answer.text()).toContain(refused[name])
      expect(controller.pokes).toBe(0)
      return
    }
    expect(answer.status).toBe(202)
    const [hint] = reception.hints
    expect(reception.hints).toHaveLength(1)
    const isLabel = name.includes('label_updated')
    const about = pulls.test(name) && !isLabel ? 'pull' : isOther(name) ? 'nothing' : 'branch'
    expect(hint?.about).toBe(about)
    expect(controller.pokes).toBe(about === 'branch' ? 1 : 0)
    const payload = z
      .looseObject({ number: z.number().optional(), after: z.string().optional() })
      .parse(JSON.parse(`${body}`))
    if (hint?.about === 'pull') expect(hint.number).toBe(payload.number)
    if (hint?.about === 'branch') expect(hint.commit).toBe(payload.after)
    const again = await fetch(`${address}${url}`, { method: 'POST', headers, body })
    expect(again.status).toBe(200)
    expect(reception.hints).toHaveLength(1)
  })

  function isOther(name: string): boolean {
    return others.test(name) && name !== 'webhook-push-initial-branch.json'
  }
})
