import { execFile } from 'node:child_process'
import { chown, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { createServer as createListener } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { spawnController } from '../support/controller-process.ts'
import { usual } from '../support/environment.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { serveGit } from '../support/git-server.ts'
import { freePort } from '../support/port.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { type Setting, settingOf } from '../support/setting.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agent = testToken()
const permissions = `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`

describe('a controller that cannot start', () => {
  let setting: Setting
  beforeEach(async () => {
    setting = await settingOf('process', { GATEWAY_REPO: '/nowhere.git' })
  })
  afterEach(() => rm(setting.state, { recursive: true, force: true }))

  /** What it prints to stderr, before it ends with 1; its log has nothing to add. */
  async function lastWords(env: Readonly<Record<string, string>>): Promise<string> {
    await using controller = spawnController({ ...setting.env, ...env })
    expect(await controller.ended).toBe(1)
    expect(linesOf(controller.stdout()).filter(({ level }) => Number(level) > 30)).toEqual([])
    return controller.stderr()
  }

  test('says which repository it lacks', async () => {
    expect(await lastWords({ GATEWAY_REPO: '' })).toBe(
      'GATEWAY_REPO: not given, required is the URL or path of the gateway repository\n',
    )
  })

  test('names every wrong variable at once, a line each', async () => {
    const wrong = { GATEWAY_POLL: 'often', GATEWAY_BRANCHH: 'main', GATEWAY_LISTEN: 'somewhere', LOG_LEVEL: 'loud' }
    expect((await lastWords(wrong)).split('\n')).toEqual([
      'GATEWAY_BRANCHH: unknown (did you mean "GATEWAY_BRANCH"?)',
      expect.stringMatching(/^GATEWAY_POLL: found "often".*allowed is/),
      expect.stringMatching(/^GATEWAY_LISTEN: found "somewhere", allowed is/),
      expect.stringMatching(/^LOG_LEVEL: found "loud", allowed is/),
      '',
    ])
  })

  test.each([
    ['a file in its place', 'file', 'a file is in the way'],
    ['a file above it', 'file/state', 'a file is in the way'],
    ['a file system that cannot be written', '/proc/gateway', 'no such file or directory'],
  ])('says that the state folder cannot be made: %s', async (_, path, reason) => {
    await writeFile(join(setting.state, 'file'), '')
    const state = path.startsWith('/') ? path : join(setting.state, path)
    const line = await lastWords({ GATEWAY_STATE: state })
    expect(line).toMatch(/^.+\n$/)
    expect(line).toContain(`GATEWAY_STATE: ${state} cannot be used (`)
    expect(line).toContain(reason)
    expect(line).toContain("give a folder that the gateway's user can make and write")
  })

  test('says that the path of the state folder is too long', async () => {
    const state = join(setting.state, 's'.repeat(80))
    expect(await lastWords({ GATEWAY_STATE: state })).toMatch(/^GATEWAY_STATE: .* bytes, allowed are 80: .*\n$/)
  })

  test.each([
    ['journal.db', 'cannot be read (file is not a database); move it and what begins with its name away'],
    ['secrets.key', 'is damaged (7 bytes instead of 32); remove it'],
  ])('says what to do with a damaged %s', async (name, words) => {
    await writeFile(join(setting.state, name), 'damaged')
    const line = await lastWords({})
    expect(line).toMatch(/^.+\n$/)
    expect(line).toContain(join(setting.state, name))
    expect(line).toContain(words)
  })

  test('says that the address of its page is taken', async () => {
    await using taken = await occupy(Number(new URL(setting.face).port))
    expect(await lastWords({})).toBe(
      `GATEWAY_LISTEN: 127.0.0.1:${taken.port} is in use by another process; stop that, or choose another port\n`,
    )
  })
})

describe('a repository that cannot be read', () => {
  let root: string
  let repository: Repository
  let head: string
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'gateway-environment-'))
    repository = await createRepository()
    head = await repository.publish({ 'manifests/permissions.yaml': permissions })
  })
  afterAll(async () => {
    await repository[Symbol.asyncDispose]()
    await rm(root, { recursive: true, force: true })
  })

  /** The reason is in status, page, readiness and once in the log; once mended, the head is applied without anybody's doing. */
  async function mendsItself(env: Readonly<Record<string, string>>, reason: string, mend: () => Promise<unknown>) {
    await using gateway = await startGateway('process', env)
    const { source } = await until('the repository was asked', async () => {
      const status = await gateway.status()
      return status.source.reason.includes(reason) && status
    })
    expect(source.ok).toBe(false)
    expect(source.reason).not.toContain('\n')
    const ready = await fetch(`${gateway.face}/readyz`)
    expect([ready.status, await ready.json()]).toMatchObject([503, { reasons: [`repository: ${source.reason}`, {}] }])
    expect(await (await fetch(gateway.face)).text()).toContain('main')
    await mend()
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    expect((await gateway.status()).source.ok).toBe(true)
    await expect
      .poll(() => linesWith(gateway.output(), 'the repository does not answer'))
      .toEqual([expect.objectContaining({ reason: source.reason })])
    expect(gateway.output()).not.toContain('    at ')
    return gateway.output()
  }

  test('because nothing listens there yet', { timeout: minutes }, async () => {
    const port = await freePort()
    await using stack = new AsyncDisposableStack()
    const url = `http://127.0.0.1:${port}/repository.git`
    await mendsItself({ GATEWAY_REPO: url }, `${url}: cannot be reached (`, async () =>
      stack.use(await serveGit(repository.bare, { port })),
    )
  })

  test('because the token is wrong, which is not printed', { timeout: minutes }, async () => {
    const given = testToken().token
    await using git = await serveGit(repository.bare, { token: testToken().token })
    const output = await mendsItself(
      { GATEWAY_REPO: git.url, GATEWAY_GIT_TOKEN: given },
      'the server refuses GATEWAY_GIT_TOKEN; give a token that is valid and may read this repository',
      async () => {
        git.token = given
      },
    )
    expect(output).not.toContain(given)
  })

  test('because there is none at its path', { timeout: minutes }, async () => {
    const path = join(root, 'later.git')
    await mendsItself(
      { GATEWAY_REPO: path },
      `${path}: there is no git repository at this path; check GATEWAY_REPO`,
      () => cp(repository.bare, path, { recursive: true }),
    )
  })

  test('because it lacks the branch', { timeout: minutes }, async () => {
    await mendsItself(
      { GATEWAY_REPO: repository.bare, GATEWAY_BRANCH: 'live' },
      'has no branch live (there are: main); push it or set GATEWAY_BRANCH',
      () => repository.push({ branch: 'live' }),
    )
  })

  test.skipIf(process.getuid?.() !== 0)('because it is another user’s', { timeout: minutes }, async () => {
    const path = join(root, 'foreign.git')
    await cp(repository.bare, path, { recursive: true })
    await chown(path, 10_001, 10_001)
    await mendsItself(
      { GATEWAY_REPO: path },
      `the folder belongs to another user: ${path}; give it to the gateway's user (chown -R), or, if you trust its owner: git config`,
      () => chown(path, 0, 0),
    )
  })
})

describe('a machine that is not as it should be', () => {
  let repository: Repository
  beforeAll(async () => {
    repository = await createRepository()
  })
  afterAll(() => repository[Symbol.asyncDispose]())

  test('has no engine: page and socket are up and say so, and it is asked again', { timeout: minutes }, async () => {
    const setting = await settingOf('docker', { GATEWAY_REPO: repository.bare })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => rm(setting.state, { recursive: true, force: true }))
    const socket = join(setting.state, 'engine.sock')
    const controller = stack.use(spawnController({ ...setting.env, DOCKER_HOST: `unix://${socket}` }))
    const absent = `no Docker engine answers at ${socket}; start it, or name its socket in DOCKER_HOST; tried again by itself`
    await until('the page says so', async () => (await textOf(setting.face))?.includes(absent.slice(0, 50)))
    expect(await hostReason(setting)).toBe(absent)
    expect(await (await fetch(`${setting.face}/readyz`)).json()).toMatchObject({
      reasons: expect.arrayContaining([`host: ${absent}`]),
    })
    const engine = createServer((_, answer) => answer.writeHead(500).end('{"message":"half awake"}'))
    stack.defer(() => void engine.close())
    await new Promise<void>((done) => engine.listen(socket, done))
    const reason = 'the Docker engine fails: half awake'
    await until('it is asked again', async () => (await hostReason(setting)) === reason)
    await expect
      .poll(() => linesWith(controller.stdout(), 'the host does not answer').map((line) => line.reason))
      .toEqual([absent, reason])
    expect(controller.stderr()).toBe('')
  })

  test.each([
    ['a program that keeps it for itself', false],
    ['a program that shares it', true],
  ])('has the port of agents in use, by %s', { timeout: minutes }, async (_, reusePort) => {
    const port = await freePort()
    const taken = await occupy(port, reusePort)
    await using _taken = taken
    const env = { GATEWAY_REPO: repository.bare, GATEWAY_PROXY_LISTEN: `127.0.0.1:${port}` }
    const head = await repository.publish({ 'manifests/permissions.yaml': permissions })
    await using gateway = await startGateway('process', env)
    const words = `GATEWAY_PROXY_LISTEN: 127.0.0.1:${port} is in use by another program: end it, or choose another port; tried again by itself`
    await until(
      'the status says so',
      async () => (await gateway.status()).attempted?.reason === `no proxy runs: ${words}`,
    )
    await expect
      .poll(() => linesWith(gateway.output(), 'tried again later')[0])
      .toMatchObject({ lane: 'gateway', reason: words })
    await taken[Symbol.asyncDispose]()
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    expect(gateway.output()).not.toContain('    at ')
  })

  test('has a secrets file that cannot be read: who needs a secret waits, and is served once it is mended', {
    timeout: 2 * minutes,
  }, async () => {
    const head = await repository.publish({
      'manifests/permissions.yaml': permissions,
      ...smallServer('plain', { word: 'plain' }),
      ...smallServer('needy', { word: 'needy', manifest: 'secrets: [KEY]' }),
    })
    await using gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
    const file = join(gateway.state, 'secrets.env')
    const needy = async () => (await gateway.status()).servers.find(({ name }) => name === 'needy')
    const waits = (words: string) => until(words, async () => (await needy())?.reason === `${file}${words}`)

    expect(await gateway.becomes(head)).toMatchObject({
      phase: 'degraded',
      servers: { needy: { phase: 'waiting', reason: `KEY is not in the secrets file ${file} (GATEWAY_SECRETS)` } },
    })
    expect(await word(gateway, 'plain')).toBe('plain')
    await mkdir(file)
    await waits(': is a folder, not a file; set GATEWAY_SECRETS to the file in it')
    await rm(file, { recursive: true })
    await writeFile(file, Buffer.from('KEY=caf\xe9\n', 'latin1'))
    await waits(': is not UTF-8 text; save it as UTF-8')
    await writeFile(file, 'KEY=value\n')
    await until('the commit is applied', async () => (await gateway.status()).attempted?.phase === 'applied', minutes)
    expect(await word(gateway, 'needy')).toBe('needy')

    const before = unitsOf(gateway.state)
    await writeFile(file, 'KEY="value\n')
    await waits(':1: the quote of KEY is never closed')
    expect(await word(gateway, 'needy')).toBe('needy')
    expect(unitsOf(gateway.state)).toEqual(before)
    process.kill(Number(before.find((unit) => unit.startsWith('needy '))?.split(' ')[1]), 'SIGKILL')
    await until('what served is back', () =>
      word(gateway, 'needy').then(
        (said) => said === 'needy',
        () => false,
      ),
    )
    expect(gateway.output()).not.toContain('value')
  })
})

test('a second controller of a state waits, says so, and takes over when the first is gone', {
  timeout: minutes,
}, async () => {
  const setting = await settingOf('process', { GATEWAY_REPO: '/nowhere.git' })
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(setting.state, { recursive: true, force: true }))
  const first = stack.use(spawnController(setting.env))
  await until('the first is up', async () => (await textOf(`${setting.face}/healthz`)) !== undefined)
  const second = stack.use(spawnController(setting.env))
  const [line] = await until('the second says so', () => {
    const lines = linesWith(second.stdout(), 'waiting for the other controller of this state')
    return lines.length > 0 && lines
  })
  expect(line).toMatchObject({ state: setting.state })
  await first[Symbol.asyncDispose]()
  await until('the second is up', async () => (await textOf(`${setting.face}/healthz`)) !== undefined)
  expect([second.stderr(), second.child.exitCode]).toEqual(['', null])
})

describe('under plain node', () => {
  const checkout = fileURLToPath(new URL('../..', import.meta.url))
  const run = promisify(execFile)

  const mains: Readonly<Record<string, { readonly args?: readonly string[]; readonly says: RegExp }>> = {
    'controller/cli/main.ts': { args: ['--help'], says: /^ {2}reconcile /m },
    'controller/main.ts': { says: /^GATEWAY_REPO: not given/ },
    'controller/update/main.ts': { says: /GATEWAY_REPO: not given/ },
    'proxy/main.ts': { says: /^GATEWAY_PROXY_NAME: missing/ },
    'servers/5etools/main.ts': { says: /^\{.*"msg":"PORT/ },
    'servers/chart/main.ts': { says: /"msg":"PORT/ },
    'servers/infographic/main.ts': { says: /"msg":"PORT/ },
    'servers/mermaid/main.ts': { says: /"msg":"PORT/ },
    'servers/midjourney/main.ts': { says: /"msg":"MIDJOURNEY_STATE_DIR is not set/ },
    'servers/outline/main.ts': { says: /"msg":"PORT/ },
    'servers/personal/main.ts': { says: /"msg":"PERSONAL_DATA_DIR is not set/ },
    'stdio/main.ts': { says: /^stdio: there is no command to run/ },
  }

  test('each program is tried', async () => {
    const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '**/main.ts', ':!test'], {
      cwd: checkout,
    })
    expect(stdout.trim().split('\n').sort()).toEqual(Object.keys(mains).sort())
  })

  test.each(Object.entries(mains))('%s starts', async (main, { args = [], says }) => {
    const env = { ...usual, PORT: 'none' }
    const { stdout, stderr } = await run(process.execPath, [join(checkout, main), ...args], { env }).catch(
      (error: { stdout: string; stderr: string }) => error,
    )
    expect(`${stdout}${stderr}`).toMatch(says)
  })
})

function word({ endpoint }: Gateway, server: string): Promise<string> {
  return callSmall(`${endpoint}/mcp/${server}`, agent.token, 'word')
}

/** Somebody who listens at a port of loopback. */
async function occupy(port: number, reusePort = false): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createListener((socket) => socket.destroy())
  await new Promise<void>((done) => server.listen({ host: '127.0.0.1', port, reusePort }, done))
  return {
    port,
    async [Symbol.asyncDispose]() {
      if (server.listening) await new Promise((done) => server.close(done))
    },
  }
}

async function textOf(url: string): Promise<string | undefined> {
  return fetch(url).then(
    (answer) => answer.text(),
    () => undefined,
  )
}

/** Asked at the socket that the CLI uses. */
function hostReason({ state }: Setting): Promise<string> {
  return new Promise((done, fail) => {
    const asked = request({ socketPath: join(state, 'admin.sock'), path: '/status', timeout: 10_000 }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('end', () => done(JSON.parse(text).host.reason))
    })
    asked.on('error', fail).end()
  })
}

/** The lines of a log that carry this message. */
function linesWith(output: string, message: string): readonly Record<string, unknown>[] {
  return linesOf(output).filter(({ msg }) => msg === message)
}

function linesOf(output: string): readonly Record<string, unknown>[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line))
}
