import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createGuard, isPublic } from '../../servers/midjourney/public-address.ts'
import { connectCurl } from '../support/mcp-clients.ts'
import { type Midapi, openMidapi, picture } from '../support/midapi.ts'
import { freePort, portOf } from '../support/port.ts'
import { failProgram, launchProgram, type Program } from '../support/program.ts'
import { until } from '../support/until.ts'

vi.setConfig({ testTimeout: 60_000 })

const main = fileURLToPath(new URL('../../servers/midjourney/main.ts', import.meta.url))

/** Takes what ends something that a test has made. */
type End = (act: () => Promise<void>) => void

function makeFolder(end: End = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), 'midjourney-'))
  end(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function openFake(end: End = onTestFinished): Promise<Midapi> {
  const fake = await openMidapi()
  end(async () => await fake[Symbol.asyncDispose]())
  fake.begin = 'done'
  return fake
}

interface Given {
  readonly env?: Readonly<Record<string, string>>
  readonly folder?: string
  readonly fake?: Midapi
  readonly end?: End
}

/** The server with a fake of its own, and what an agent does with it. */
async function startServer(given: Given = {}) {
  const { env, end = onTestFinished } = given
  const folder = given.folder ?? makeFolder(end)
  const fake = given.fake ?? (await openFake(end))
  const program = await launchProgram(main, {
    MIDJOURNEY_API_URL: fake.url,
    MIDJOURNEY_API_KEY: fake.key,
    MIDJOURNEY_STATE_DIR: folder,
    MIDJOURNEY_POLL_MS: '120',
    ...env,
  })
  end(async () => {
    program.kill('SIGKILL')
    await program.ended
  })
  const client = await connectCurl(`${program.url}/mcp`)
  return { fake, folder, program, call: client.callTool, ...talk(program, client.callTool) }
}

/** One for all tests of a suite. */
function sharedServer() {
  const stack = new AsyncDisposableStack()
  let server: Awaited<ReturnType<typeof startServer>>
  beforeAll(async () => {
    server = await startServer({ end: (act) => stack.defer(act) })
  })
  afterAll(() => stack.disposeAsync())
  return () => server
}

function talk(program: Program, call: Awaited<ReturnType<typeof connectCurl>>['callTool']) {
  const idIn = (text: string) => /mj_task_\d+/.exec(text)?.[0] ?? 'none'
  const draw = async (prompt: string) => idIn((await call('generate_image', { prompt })).text)
  const shown = async (id: string, more = {}) => (await call('get_image', { task_id: id, ...more })).text
  const says = (id: string, words: RegExp) =>
    until(`get_image says ${words}`, async () => {
      const text = await shown(id, { wait_seconds: 1 })
      return words.test(text) && text
    })
  const ready = async () => {
    const answer = await fetch(`${program.url}/readyz`)
    return { status: answer.status, text: await answer.text() }
  }
  return { draw, shown, says, ready }
}

describe('what may have been paid', () => {
  const shared = sharedServer()

  test('takes a result that comes as text', async () => {
    const { fake, draw, says } = await startServer()
    fake.quoted = true
    expect((await says(await draw('a cat'), /kept here/)).match(/kept here/g)).toHaveLength(4)
  })

  test.each([
    ['its connection ends', 'cut', /not reached/],
    ['it names no task', 'unnamed', /did not name the task/],
    ['a gateway answers in its place', { http: 502, body: '<html>Bad gateway' }, /HTTP 502/],
    ['its answer is no JSON', { http: 200, body: '<html>Welcome' }, /HTTP 200 with something else than JSON/],
  ] as const)('is answered without an error where %s, and is not forgotten', async (name, trick, words) => {
    const { fake, call } = shared()
    const prompt = `a cat that is lost where ${name}`
    fake.tricks.push(trick)
    const { text, isError } = await call('generate_image', { prompt })
    expect([isError, text]).toEqual([false, expect.stringMatching(words)])
    expect(text).toMatch(/^It is not known whether the service has accepted this .* so it counts\./)
    expect((await call('list_images', { limit: 1 })).text).toContain(`(no task_id) unknown: "${prompt}" (`)
    expect(await call('generate_image', { prompt })).toMatchObject({ isError: false })
  })

  test.each([
    ['a connection that is refused', async () => `http://127.0.0.1:${await freePort()}`, /not reached: .*ECONNREFUSED/],
    ['a host that is none', async () => 'http://nowhere.invalid', /not reached: .*nowhere\.invalid/],
  ])('is not so with %s, which is an error', async (_, url, words) => {
    const { call } = await startServer({ env: { MIDJOURNEY_API_URL: await url() } })
    const { text, isError } = await call('generate_image', { prompt: 'a cat' })
    expect([isError, text]).toEqual([true, expect.stringMatching(words)])
    expect(text).toContain('it does not count')
    expect((await call('list_images')).text).toBe('No tasks yet.')
  })

  test.each([400, 403, 302])('is not so with HTTP %i, whatever its body', async (http) => {
    const { fake, call } = shared()
    fake.tricks.push({ http, body: '<html>No' })
    expect(await call('generate_image', { prompt: 'a cat' })).toMatchObject({
      isError: true,
      text: expect.stringContaining('it does not count'),
    })
  })

  test('is found after the server was killed while it was sent', async () => {
    const { fake, folder, program, call } = await startServer()
    fake.tricks.push('mute')
    const lost = call('generate_image', { prompt: 'a cat in flight' }).catch(() => 'no answer')
    await until('it is sent', () => fake.tasks.size === 1)
    program.kill('SIGKILL')
    expect(await lost).toBe('no answer')
    const again = await startServer({ fake, folder })
    expect((await again.call('list_images')).text).toMatch(/unknown: "a cat in flight" \(the server ended/)
  })

  test('is followed to its pictures though its agent is gone, and the server was killed', async () => {
    const { fake, folder, program, call, draw } = await startServer()
    fake.begin = 'running'
    const [id] = [await draw('a lasting cat'), await draw('another cat')]
    program.kill('SIGKILL')
    await program.ended
    for (const task of fake.tasks.values()) task.state = 'done'
    await startServer({ fake, folder })
    const kept = () => (existsSync(join(folder, 'pictures')) ? readdirSync(join(folder, 'pictures')) : [])
    await until('the pictures of both are here', () => kept().filter((name) => name.endsWith('.png')).length === 8)
    await expect(call('get_image', { task_id: id })).rejects.toThrow()
    expect(readFileSync(join(folder, 'pictures', `${id}-2.png`))).toEqual(picture(2))
  })

  test('is kept when the service has removed it', async () => {
    const { fake, draw, says, shown } = await startServer()
    const id = await draw('a cat to keep')
    await says(id, /4\. .* \(kept here/)
    fake.tasks.clear()
    fake.serve = (_, response) => response.writeHead(404).end()
    expect(await shown(id, { picture: 1 })).toMatch(/is done.*\n1\. .* \(kept here/)
  })

  test('is waited for while the service has trouble', async () => {
    const { fake, draw, shown, says } = await startServer()
    fake.trouble = { code: 455, msg: 'back soon' }
    const id = await draw('a patient cat')
    expect(await shown(id)).toMatch(/runs for \d+ s \(The service is being maintained.*back soon\)/)
    fake.trouble = undefined
    await says(id, /is done/)
  })
})

describe('the hosts of pictures', () => {
  const shared = sharedServer()
  const serving =
    (respond: (response: ServerResponse) => void): Midapi['serve'] =>
    (_, response) =>
      respond(response)

  test.each<[string, (response: ServerResponse) => void, RegExp]>([
    ['a page', (response) => response.end('<html>not a picture</html>'), /no png, jpeg or webp/],
    ['nothing', (response) => response.end(), /no png, jpeg or webp/],
    ['too much', (response) => response.end(picture(1, 33 * 2 ** 20)), /larger than 33554432 bytes/],
    ['an error', (response) => response.writeHead(500).end(), /HTTP 500/],
    [
      'a way to an address of this machine',
      (response) => response.writeHead(302, { location: `http://127.0.0.2:${secret}/` }).end(),
      /127\.0\.0\.2 is not an address/,
    ],
    [
      'a way to a name of this machine',
      (response) => response.writeHead(302, { location: `http://localhost:${secret}/` }).end(),
      /localhost is not an address/,
    ],
    [
      'a way to a file',
      (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      /not fetched yet/,
    ],
    ['a way in a circle', (response) => response.writeHead(302, { location: '/img/x/1' }).end(), /redirect/],
  ])('may send %s, and the right picture later', async (_, respond, words) => {
    await using inner = await openInner()
    secret = inner.port
    const { fake, draw, says } = shared()
    const serve = fake.serve
    fake.serve = serving(respond)
    const id = await draw('a cat from elsewhere')
    expect(await says(id, /1\. .*\(not fetched yet: /)).toMatch(words)
    fake.serve = serve
    await says(id, /4\. .*\(kept here/)
    expect(inner.seen()).toBe(0)
  })
  let secret = 0

  test('take no more room than there is, and the newest pictures stay', async () => {
    const { fake, folder, draw, says, shown } = await startServer({ env: { MIDJOURNEY_KEEP_MB: '1' } })
    fake.serve = serving((response) => response.end(picture(1, 300_000)))
    const first = await draw('the first cat')
    await says(first, /4\. .*\((kept here|not kept)/)
    const second = await draw('the second cat')
    await says(second, /4\. .*\(kept here/)
    expect(await shown(first)).toMatch(/1\. .*\(not kept: it made room for newer ones\)/)
    const files = readdirSync(join(folder, 'pictures'))
    const bytes = files.reduce((sum, name) => sum + statSync(join(folder, 'pictures', name)).size, 0)
    expect([files.length, bytes < 2 ** 20]).toEqual([3, true])
  })

  test('are asked again while there is no place to keep a picture', async () => {
    const { folder, draw, says } = await startServer()
    const pictures = join(folder, 'pictures')
    await rename(pictures, join(folder, 'aside'))
    await writeFile(pictures, '')
    const id = await draw('a cat without a place')
    await says(id, /4\. .*\(not fetched yet: ENOTDIR/)
    await rm(pictures)
    await rename(join(folder, 'aside'), pictures)
    await says(id, /4\. .*\(kept here/)
  })

  test('send pictures that are too large for an answer, which are still resources', async () => {
    const { fake, call, draw, says } = await startServer()
    fake.serve = serving((response) => response.end(picture(1, 4_000_000)))
    const id = await draw('a large cat')
    await says(id, /4\. .*\(kept here/)
    const { text, images } = await call('get_image', { task_id: id, picture: 2 })
    expect(images).toEqual([])
    expect(text).toMatch(/^Picture 2 is too large to be shown here: read its resource.*\n.*is done/)
  })
})

/** Something on this machine that nobody outside may reach. */
async function openInner() {
  let seen = 0
  const server = createServer((_, response) => {
    seen++
    response.end(picture(1))
  })
  await new Promise<void>((done) => server.listen(0, '0.0.0.0', done))
  return {
    port: portOf(server),
    seen: () => seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

describe('addresses', () => {
  test.each([
    ['127.0.0.1', false],
    ['10.0.0.1', false],
    ['172.16.5.4', false],
    ['192.168.0.1', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['0.0.0.0', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['fe80::1', false],
    ['fd00::1', false],
    ['::ffff:10.0.0.1', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['93.184.215.14', true],
    ['2606:2800:21f:cb07:6820:80da:af6b:8b2c', true],
    ['::ffff:93.184.215.14', true],
  ])('%s is of the public internet: %s', (address, expected) => {
    expect(isPublic(address)).toBe(expected)
  })

  test('a name counts as what it means, and as all that it means', async () => {
    const meanings: Readonly<Record<string, readonly string[]>> = {
      'outside.example': ['93.184.215.14'],
      'inside.example': ['127.0.0.1'],
      'both.example': ['93.184.215.14', '10.0.0.1'],
    }
    const find = async (host: string) => (meanings[host] ?? []).map((address) => ({ address, family: 4 }))
    const { refusal, dispatcher } = createGuard('named.example', find)
    onTestFinished(() => dispatcher.destroy())
    expect(await refusal('https://outside.example/a.png')).toBeUndefined()
    for (const host of ['inside.example', 'both.example'])
      expect(await refusal(`https://${host}/`)).toBe(`${host} is not an address of the public internet`)
  })
})

describe('midjourney as a program', () => {
  test.each(['100', '10000'])('waits for news with %s ms between two looks', async (poll) => {
    const { call, shown } = await startServer({ env: { MIDJOURNEY_POLL_MS: poll } })
    const { text, isError } = await call('generate_image', { prompt: 'a cat in time' })
    expect([isError, text]).toEqual([false, expect.stringMatching(/^Task mj_task_1 is done/)])
    expect(await shown('mj_task_1')).toContain('is done')
  })

  test('asks soon again what made it unready', async () => {
    const { fake, ready } = await startServer()
    fake.trouble = { code: 455, msg: '' }
    expect(await ready()).toMatchObject({ status: 503 })
    fake.trouble = undefined
    await until('it is ready', async () => (await ready()).status === 200, 20_000)
  })

  test('says why it is not ready, and is alive', async () => {
    const fake = await openFake()
    fake.trouble = { code: 455, msg: '' }
    const maintained = await startServer({ fake })
    expect(await maintained.ready()).toEqual({ status: 503, text: expect.stringContaining('being maintained') })
    const wrong = await startServer({ fake, env: { MIDJOURNEY_API_KEY: 'another-key' } })
    const { status, text } = await wrong.ready()
    expect([status, text]).toEqual([503, expect.stringContaining('does not take the key')])
    expect((await wrong.call('generate_image', { prompt: 'a cat' })).text).toContain('it said: unauthorized: Bearer …)')
    expect(JSON.stringify([text, wrong.program.lines])).not.toContain('another-key')
    const alone = await startServer({ env: { MIDJOURNEY_API_URL: `http://127.0.0.1:${await freePort()}` } })
    expect(await alone.ready()).toEqual({ status: 503, text: expect.stringContaining('not reached') })
    for (const { program } of [maintained, wrong, alone])
      expect((await fetch(`${program.url}/healthz`)).status).toBe(200)
  })

  test('asks once a minute whether it is ready', async () => {
    const { fake, ready } = await startServer()
    expect((await Promise.all([ready(), ready(), ready()])).map(({ status }) => status)).toEqual([200, 200, 200])
    expect(fake.asked).toHaveLength(1)
  })

  test('takes its key from a file', async () => {
    const [fake, folder] = [await openFake(), makeFolder()]
    const file = join(folder, 'key')
    writeFileSync(file, `${fake.key}\n`)
    const { draw } = await startServer({ fake, env: { MIDJOURNEY_API_KEY: '', MIDJOURNEY_API_KEY_FILE: file } })
    expect(await draw('a cat')).toBe('mj_task_1')
  })

  test('stops at once when it is asked to, whatever it waits for', async () => {
    const { fake, program, draw } = await startServer()
    fake.begin = 'running'
    await draw('a cat that never comes')
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
  })

  test.each([
    [
      'no key',
      { MIDJOURNEY_API_KEY: '' },
      'MIDJOURNEY_API_KEY is not set: give it, or its file as MIDJOURNEY_API_KEY_FILE',
    ],
    [
      'a key of two lines',
      { MIDJOURNEY_API_KEY: 'a\nsecret' },
      /^MIDJOURNEY_API_KEY cannot be sent in a header: (?!.*secret)/,
    ],
    [
      'a key in no file',
      { MIDJOURNEY_API_KEY: '', MIDJOURNEY_API_KEY_FILE: '/nowhere' },
      /^MIDJOURNEY_API_KEY_FILE="\/nowhere": ENOENT/,
    ],
    [
      'no folder',
      { MIDJOURNEY_STATE_DIR: '' },
      'MIDJOURNEY_STATE_DIR is not set: give a folder that outlives the server',
    ],
    [
      'a folder that cannot be',
      { MIDJOURNEY_STATE_DIR: '/dev/null/state' },
      /^MIDJOURNEY_STATE_DIR="\/dev\/null\/state": /,
    ],
    [
      'another scheme',
      { MIDJOURNEY_API_URL: 'ftp://a.example' },
      /^MIDJOURNEY_API_URL="ftp:\/\/a\.example": give the address/,
    ],
    ['a wrong time', { MIDJOURNEY_POLL_MS: 'soon' }, /^MIDJOURNEY_POLL_MS="soon": give milliseconds/],
  ])('says in one line that it was given %s', async (_, env, words) => {
    const given = { MIDJOURNEY_API_KEY: 'k', MIDJOURNEY_STATE_DIR: makeFolder(), ...env }
    const { code, lines } = await failProgram(main, given)
    expect([code, lines.map(({ msg }) => msg)]).toEqual([
      1,
      [words instanceof RegExp ? expect.stringMatching(words) : words],
    ])
  })

  test('stops rather than forget what was paid, where its ledger is broken', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'tasks.db'), 'this is no database, and long enough to be read as one'.repeat(100))
    const { code, lines } = await failProgram(main, { MIDJOURNEY_API_KEY: 'k', MIDJOURNEY_STATE_DIR: folder })
    expect([code, lines.at(-1)?.msg]).toEqual([1, expect.stringMatching(/tasks\.db cannot be used \(.*move it away/)])
  })
})
