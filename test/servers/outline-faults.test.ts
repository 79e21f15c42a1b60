import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Anything } from '../../servers/outline/answers.ts'
import { outlineSettings } from '../../servers/outline/settings.ts'
import { createWiki } from '../../servers/outline/wiki.ts'
import { createCertificate } from '../support/certificate.ts'
import { connectCurl, type McpClient } from '../support/mcp-clients.ts'
import { startOutline } from '../support/outline.ts'
import { freePort, portOf } from '../support/port.ts'
import { launchProgram, type Program, startProgram } from '../support/program.ts'
import { until } from '../support/until.ts'

const main = fileURLToPath(new URL('../../servers/outline/main.ts', import.meta.url))
const key = 'a-key-to-be-kept'
const html = { 'content-type': 'text/html; charset=utf-8' }
const json = { 'content-type': 'application/json' }
const search = { query: 'x' }

/** Something that is in Outline's place, and answers otherwise. */
async function serveOdd(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close(() => {}).closeAllConnections())
  await once(server, 'listening')
  return `http://127.0.0.1:${portOf(server)}`
}

async function serverOf(url: string, env: Readonly<Record<string, string>> = {}) {
  const program = await startProgram(main, { OUTLINE_API_URL: url, OUTLINE_API_KEY: key, ...env })
  const client = await connectCurl(`${program.url}/mcp`)
  return { program, client, fault: () => faultOf(program, client) }
}

/** What a tool says of it. The server is not ready then, but lives; and neither answers nor log tell the key. */
async function faultOf(program: Program, client: McpClient): Promise<string> {
  const { text, isError } = await client.callTool('search_documents', search)
  expect(isError).toBe(true)
  const ready = await fetch(`${program.url}/readyz`)
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'unready', reason: expect.any(String) }])
  expect(JSON.stringify(program.lines) + text).not.toContain(key)
  expect((await fetch(`${program.url}/healthz`)).status).toBe(200)
  return text
}

describe('outline, beside what stands in the wiki’s place', () => {
  let listener: RequestListener = (_, response) => response.end()
  let program: Program
  let client: McpClient
  let odd: Server
  beforeAll(async () => {
    odd = createServer((request, response) => listener(request, response)).listen(0, '127.0.0.1')
    await once(odd, 'listening')
    const env = { OUTLINE_API_URL: `http://127.0.0.1:${portOf(odd)}`, OUTLINE_API_KEY: key }
    program = await launchProgram(main, env)
    client = await connectCurl(`${program.url}/mcp`)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    odd?.close().closeAllConnections()
  })

  test.each<readonly [string, RequestListener, RegExp]>([
    [
      'a page in place of JSON, as from a login',
      (_, response) => response.writeHead(200, html).end('<html>Log in'),
      /answered 200 with a web page, not as Outline does: something else is there, or a login before it\. .*OUTLINE_API_URL/,
    ],
    [
      'a redirect to a login page',
      (_, response) => response.writeHead(302, { location: 'https://login.example/in?ticket=secret' }).end(),
      /sends its callers on to https:\/\/login\.example\/in, as a login page/,
    ],
    [
      'a page with an error of its own',
      (_, response) => response.writeHead(500, html).end('<h1>Oh no</h1>'),
      /answered 500 with a web page, not as Outline does: it, or a proxy before it, has a fault\. Try again later/,
    ],
    [
      'a page that forbids',
      (_, response) => response.writeHead(403, html).end('<h1>Forbidden</h1>'),
      /answered 403 with a web page, not as Outline does: something else is there/,
    ],
    [
      'an error of Outline’s own',
      (_, response) => response.writeHead(503, json).end('{"ok":false,"error":"","message":"Down for\\nmaintenance"}'),
      /fault of its own \(503: Down for maintenance\)\. Try again later/,
    ],
    ['broken JSON', (_, response) => response.writeHead(200, json).end('{"data": ['), /answered 200 with broken JSON/],
    [
      'JSON of another kind',
      (_, response) => response.writeHead(200, json).end('[1, 2]'),
      /answer to documents\.search is not as its contract says/,
    ],
    [
      'a refusal of so much',
      (_, response) => response.writeHead(413, json).end('{}'),
      /too large for Outline, or for a proxy before it/,
    ],
    ['nothing at all', (request) => request.socket.destroy(), /connection to 127\.0\.0\.1:\d+ failed/],
    [
      'half an answer',
      (request, response) => {
        response.writeHead(200, { ...json, 'content-length': 100 })
        response.write('{"data"', () => request.socket.destroy())
      },
      /connection to 127\.0\.0\.1:\d+ failed/,
    ],
  ])('says what is wrong when that gives %s', async (_, given, says) => {
    listener = given
    expect(await faultOf(program, client)).toMatch(says)
  })

  test('lives on after all of that', async () => {
    listener = (_, response) => response.writeHead(200, json).end('{"data":[]}')
    expect(await client.callTool('search_documents', search)).toMatchObject({ isError: false })
    await until('it is ready', async () => (await fetch(`${program.url}/readyz`)).status === 200)
  })
})

describe('outline’s other side', () => {
  test('gives more than anybody could read', async () => {
    const chunk = Buffer.alloc(1024 * 1024, ' ')
    const endless = function* () {
      for (;;) yield chunk
    }
    const url = await serveOdd((_, response) => {
      response.writeHead(200, json)
      pipeline(Readable.from(endless()), response).catch(() => {})
    })
    const { client } = await serverOf(url)
    const { text } = await client.callTool('search_documents', search)
    expect(text).toContain('too large. Ask for fewer at once')
  })

  test('is not there', async () => {
    const { fault } = await serverOf(`http://127.0.0.1:${await freePort()}`)
    expect(await fault()).toMatch(/^Nothing listens at 127\.0\.0\.1:\d+: Outline is down, or OUTLINE_API_URL is wrong/)
  })

  test('has no address', async () => {
    const { fault } = await serverOf('https://wiki.invalid')
    expect(await fault()).toMatch(/^There is no host wiki\.invalid \(E\w+\)\. Whoever runs this server must look/)
  })

  test('has a certificate that nobody has vouched for, until somebody does', async () => {
    const { cert, key: privateKey } = createCertificate()
    const server = createTlsServer({ cert, key: privateKey }, (_, response) => {
      response.writeHead(200, json).end('{"data":[]}')
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close(() => {}).closeAllConnections())
    await once(server, 'listening')
    const url = `https://127.0.0.1:${portOf(server)}`
    const { fault } = await serverOf(url)
    expect(await fault()).toMatch(/^The certificate of 127\.0\.0\.1:\d+ is not trusted \(\w+\)\..*NODE_EXTRA_CA_CERTS/)
    const folder = mkdtempSync(join(tmpdir(), 'authority-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'ca.pem'), cert)
    const { client } = await serverOf(url, { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') })
    expect(await client.callTool('search_documents', search)).toMatchObject({ isError: false })
  })

  test('takes too long, before its answer or within it', async () => {
    const silent = await serveOdd(() => {})
    const slow = await serveOdd((_, response) => void response.writeHead(200, json).write('{'))
    for (const url of [silent, slow]) {
      const { client } = await serverOf(url, { OUTLINE_TIMEOUT_MS: '1000' })
      const { text, isError } = await client.callTool('search_documents', search)
      expect([isError, text]).toEqual([true, expect.stringMatching(/did not answer within 1 s\. Try again later/)])
    }
  })

  test('is let alone when the caller is gone', async () => {
    const asked = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const url = await serveOdd((request) => {
      request.socket.once('close', left.resolve)
      asked.resolve()
    })
    const { program } = await serverOf(url, { OUTLINE_TIMEOUT_MS: '40000' })
    const gone = new AbortController()
    const body = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'search_documents', arguments: search },
    }
    const call = fetch(`${program.url}/mcp`, {
      method: 'POST',
      headers: { ...json, accept: 'application/json, text/event-stream' },
      body: JSON.stringify(body),
      signal: gone.signal,
    })
    await asked.promise
    gone.abort()
    await expect(call).rejects.toThrow()
    await left.promise
  })

  test('is asked now and then whether it is there, not each time that somebody wants to know', async () => {
    const outline = await startOutline()
    onTestFinished(() => outline[Symbol.asyncDispose]())
    const { program } = await serverOf(outline.url, { OUTLINE_API_KEY: outline.keys.whole })
    const statuses = await Promise.all([1, 2, 3, 4].map(async () => (await fetch(`${program.url}/readyz`)).status))
    expect(statuses).toEqual([200, 200, 200, 200])
    expect(outline.asked.map(({ method }) => method)).toEqual(['auth.info'])
  })

  test('may say in odd words when to come again', async () => {
    const odd = ['Thu, 01 Jan 1970 00:00:00 GMT', '0', 'soon', '-5', '1.5']
    const counts = await Promise.all(
      odd.map(async (again) => {
        let count = 0
        const url = await serveOdd((_, response) =>
          ++count === 1
            ? response.writeHead(429, { ...json, 'retry-after': again }).end('{}')
            : response.writeHead(200, json).end('{"data":[]}'),
        )
        const { client } = await serverOf(url)
        const { isError } = await client.callTool('search_documents', search)
        return { again, isError, count }
      }),
    )
    expect(counts).toEqual(odd.map((again) => ({ again, isError: false, count: 2 })))
  })

  test('is not asked for ever, when it always wants to be asked later', async () => {
    let count = 0
    const url = await serveOdd((_, response) => {
      count++
      response.writeHead(429, json).end('{}')
    })
    vi.stubEnv('OUTLINE_API_KEY', key)
    onTestFinished(() => void vi.unstubAllEnvs())
    const wiki = createWiki(outlineSettings.parse({ OUTLINE_API_URL: url }), 4_000)
    const asked = wiki.ask({ method: 'documents.search', body: {}, answer: Anything }, new AbortController().signal)
    await expect(asked).rejects.toThrow('rate limit is reached: try again in 2 s')
    expect(count).toBe(2)
  })
})
