import { once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { CommitStatus, PullStatus, ServerStatus, Status } from '#manifests/status.ts'
import { createFace, type FaceOptions } from '../../controller/face/http.ts'
import { commitStatus, createMemoryController, serverStatus } from '../support/controller.ts'
import { createReception } from '../support/reception.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

function open(options: Partial<FaceOptions> = {}) {
  const controller = createMemoryController()
  const face = createFace(controller, options)
  closing.push(() => face.close())
  return { controller, face, get: (url: string, headers = {}) => face.inject({ url, headers }) }
}

async function listen(face: ReturnType<typeof createFace>): Promise<number> {
  await face.listen({ host: '127.0.0.1', port: 0 })
  return (face.server.address() as AddressInfo).port
}

const sha = 'a1'.repeat(20)
const operatorToken = 'a-token-of-a-test'

describe('reading', () => {
  test('tells the status as its schema says', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha))
    controller.servers.push(serverStatus('wiki', { tools: ['search'] }))
    const answer = await get('/status')
    expect(answer.statusCode).toBe(200)
    expect(Status.parse(answer.json())).toMatchObject({ applied: sha, servers: [{ name: 'wiki', tools: ['search'] }] })
    expect(ServerStatus.parse((await get('/status/wiki')).json()).name).toBe('wiki')
  })

  test('names the servers that there are for one that there is not', async () => {
    const { controller, get } = open()
    controller.servers.push(serverStatus('wiki'), serverStatus('5etools'))
    const answer = await get('/status/wikki')
    expect([answer.statusCode, answer.json()]).toEqual([404, { error: 'no server "wikki" (there are: wiki, 5etools)' }])
  })

  test('tells a commit by its hash, long or shortened', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha), commitStatus(`a1a1a1b${'0'.repeat(33)}`))
    expect(CommitStatus.parse((await get(`/commits/${sha}`)).json()).commit).toBe(sha)
    expect((await get(`/commits/${sha.slice(0, 7).toUpperCase()}`)).json().commit).toBe(sha)
    expect((await get('/commits/a1a1a1')).statusCode).toBe(400)
    expect((await get('/commits/main')).json().error).toContain('7 to 64 hex digits')
  })

  test('tells what merging a pull request would do, as JSON and for people', async () => {
    const { controller, get } = open()
    const ends = { number: 7, head: sha, base: sha, phase: 'valid' as const, errors: [], warnings: [] }
    controller.pulls.push({ ...ends, plan: ['+/- wiki'], held: ['removing <b> (because)'] })
    expect(PullStatus.parse((await get('/pulls/7')).json())).toMatchObject({ number: 7, plan: ['+/- wiki'] })
    const page = await get('/pulls/7', { accept: 'text/html,*/*;q=0.8' })
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(page.body).toContain('<h1>Pull request 7</h1>')
    expect(page.body).toContain('removing &#60;b&#62; (because)')
    expect((await get('/pulls/8')).json()).toEqual({ error: 'no open pull request 8 was looked at' })
    expect((await get('/pulls/0')).statusCode).toBe(400)
  })

  test('does not guess between commits that begin alike', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha), commitStatus(`${sha.slice(0, 30)}${'0'.repeat(10)}`))
    expect((await get(`/commits/${sha.slice(0, 8)}`)).statusCode).toBe(409)
  })

  test('says at once that a commit was not seen when nobody waits', async () => {
    expect((await open().get(`/commits/${sha}`)).statusCode).toBe(404)
  })

  test.each([sha, sha.slice(0, 10)])('waits until commit %s is seen and has a final phase', async (asked) => {
    const { controller, get } = open()
    const answer = get(`/commits/${asked}?wait=20`)
    await expect.poll(async () => controller.commits.length).toBe(0)
    controller.commits.push(commitStatus(sha, { phase: 'applying' }))
    controller.announce()
    controller.commits[0] = commitStatus(sha, { phase: 'rejected', errors: ['manifests/permissions.yaml:1:1 what'] })
    controller.announce()
    expect((await answer).json()).toMatchObject({ phase: 'rejected', errors: ['manifests/permissions.yaml:1:1 what'] })
  })

  test('ends every wait when it closes', async () => {
    const { face } = open()
    const port = await listen(face)
    const asked = request({ port, path: `/commits/${sha}?wait=300` }).end()
    await once(asked, 'socket')
    await expect.poll(() => connectionsOf(face)).toBe(1)
    const answered = once(asked, 'response').catch(() => 'closed')
    await face.close()
    await answered
  })

  test('tells the history, newest first, as far as asked', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha), commitStatus('b'.repeat(40)))
    expect((await get('/history')).json()).toHaveLength(2)
    expect((await get('/history?limit=1')).json()).toMatchObject([{ commit: sha }])
    expect((await get('/history?limit=0')).statusCode).toBe(400)
  })

  test('is up whatever happens, and ready only if all is fine', async () => {
    const { controller, get } = open()
    expect((await get('/readyz')).json()).toEqual({ ok: true, reasons: [] })
    controller.readyReasons = ['the engine does not answer']
    const answer = await get('/readyz')
    expect([answer.statusCode, answer.json().reasons]).toEqual([503, ['the engine does not answer']])
    expect((await get('/healthz')).statusCode).toBe(200)
  })
})

function connectionsOf(face: ReturnType<typeof createFace>): Promise<number> {
  return new Promise((done, fail) => face.server.getConnections((error, count) => (error ? fail(error) : done(count))))
}

describe('the operator', () => {
  const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`me:${password}`).toString('base64')}` })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  test.each([bearer(operatorToken), basic(operatorToken)])('sees access and logs with %o', async (headers) => {
    const { controller, get } = open({ operatorToken })
    controller.servers.push(serverStatus('wiki', { log: 'it failed' }))
    expect((await get('/status', headers)).json()).toMatchObject({ access: {}, servers: [{ log: 'it failed' }] })
    expect((await get('/', headers)).body).toContain('it failed')
    const status = (await get('/status')).json()
    expect(status.access).toBeUndefined()
    expect(status.servers[0].log).toBeUndefined()
  })

  test.each([bearer('wrong'), bearer(''), basic('wrong'), basic(''), { authorization: 'nonsense' }])(
    'is not whoever shows %o',
    async (headers) => {
      const answer = await open({ operatorToken }).get('/status', headers)
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['www-authenticate']).toContain('Basic')
    },
  )

  test('is asked for the password by the page that the public page links to', async () => {
    const { get } = open({ operatorToken })
    expect((await get('/')).body).toContain('href="/?operator"')
    expect((await get('/?operator')).statusCode).toBe(401)
    expect((await get('/?operator', basic(operatorToken))).statusCode).toBe(200)
  })

  test('does not exist without a token', async () => {
    const { get } = open()
    expect((await get('/status', bearer(''))).json().access).toBeUndefined()
    expect((await get('/')).body).not.toContain('?operator')
  })

  test('cannot be guessed at leisure', async () => {
    const { get } = open({ operatorToken })
    for (let attempt = 0; attempt < 20; attempt++) await get('/status', bearer('wrong'))
    const answer = await get('/status', bearer('wrong'))
    expect([answer.statusCode, Number(answer.headers['retry-after'])]).toEqual([429, expect.any(Number)])
    expect((await get('/status')).statusCode).toBe(200)
  })
})

describe('the page', () => {
  test('shows commit, servers, tools and proxies without a script', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha, { phase: 'degraded', errors: ['manifests/x.yaml:1:2 bad'] }))
    controller.servers.push(
      serverStatus('wiki', { phase: 'stalled', reason: 'the build failed', tools: ['search', 'read'] }),
    )
    const { body, headers } = await get('/')
    for (const shown of [
      'degraded',
      sha.slice(0, 12),
      'manifests/x.yaml:1:2 bad',
      'the build failed',
      'search, read',
      'gateway-proxy',
    ])
      expect(body).toContain(shown)
    expect(body).not.toMatch(/<script|\son\w+=|https?:\/\/(?!forge\.example)/)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
  })

  test('escapes all that others wrote', async () => {
    const { controller, get } = open({ operatorToken })
    const evil = `<img src=x onerror="alert('1')">&`
    const fields = { reason: evil, description: evil, tools: [evil], log: evil }
    controller.servers.push(serverStatus(evil, fields))
    controller.commits.push(commitStatus('"><b>', { reason: evil, errors: [evil], plan: [evil], since: '"><b>' }))
    const { body } = await get('/', { authorization: `Bearer ${operatorToken}` })
    expect(body).not.toMatch(/<img|<b>/)
    expect(body.match(/&#60;img/g)?.length).toBeGreaterThanOrEqual(7)
  })

  test('reloads soon while something is on its way, and seldom otherwise', async () => {
    const { controller, get } = open()
    controller.commits.push(commitStatus(sha))
    controller.servers.push(serverStatus('wiki'))
    expect((await get('/')).body).toContain('content="30"')
    controller.servers[0] = serverStatus('wiki', { phase: 'waiting' })
    expect((await get('/')).body).toContain('content="30"')
    controller.servers[0] = serverStatus('wiki', { phase: 'deploying' })
    expect((await get('/')).body).toContain('content="3"')
  })

  test('says so when there is nothing yet', async () => {
    expect((await open().get('/')).body).toContain('No commit was seen yet')
  })
})

describe('the door', () => {
  test('answers what is not there with JSON', async () => {
    const answer = await open().get('/no/such?x=1')
    expect([answer.statusCode, answer.json()]).toEqual([404, { error: 'nothing at /no/such' }])
  })

  test.each(['/status', '/', '/history', '/commits/abcdefg'])('takes only GET and HEAD at %s', async (url) => {
    const { face } = open()
    const answer = await face.inject({ method: 'POST', url, payload: 'x', headers: { 'content-type': 'text/x' } })
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
    expect(answer.json().error).toContain(`POST is not possible at ${url}`)
  })

  test('answers HEAD without a body', async () => {
    const { face } = open()
    const answer = await face.inject({ method: 'HEAD', url: '/status' })
    expect([answer.statusCode, answer.body]).toEqual([200, ''])
  })

  test('tells nobody how it failed', async () => {
    const { controller, get } = open()
    controller.status = async () => {
      throw new Error('in the depths of /some/folder')
    }
    const answer = await get('/status')
    expect([answer.statusCode, answer.json()]).toEqual([
      500,
      { error: 'the controller failed to answer; its log says why' },
    ])
  })

  test('ends a request that does not arrive within five seconds', async () => {
    const port = await listen(open({ webhook: createReception(['x']) }).face)
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /webhook/forgejo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
    const [answer] = await once(socket.setEncoding('utf8'), 'data')
    socket.destroy()
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
  })
})

describe('events', () => {
  test('tells the head of the branch, then what becomes of commits', async () => {
    const { controller, face } = open()
    controller.commits.push(commitStatus(sha, { phase: 'applying' }))
    const answer = await fetch(`http://127.0.0.1:${await listen(face)}/events`)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    const next = async () => CommitStatus.parse(JSON.parse((await reader.read()).value!.split('data: ')[1]!)).phase
    expect(await next()).toBe('applying')
    controller.commits[0] = commitStatus(sha)
    controller.announce()
    expect(await next()).toBe('applied')
    await reader.cancel()
  })

  test('asks the sixty-fifth to come back', async () => {
    const { face } = open()
    const port = await listen(face)
    const end = new AbortController()
    const answers = await Promise.all(
      Array.from({ length: 65 }, () => fetch(`http://127.0.0.1:${port}/events`, { signal: end.signal })),
    )
    expect(
      answers
        .map(({ status }) => status)
        .sort()
        .slice(-2),
    ).toEqual([200, 503])
    end.abort()
  })
})

test('tells metrics as Prometheus reads them', async () => {
  const { get } = open()
  const answer = await get('/metrics')
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
})
