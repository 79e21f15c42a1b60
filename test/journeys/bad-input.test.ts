import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { usual } from '../support/environment.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type Load, startLoad } from '../support/load.ts'
import { type Change, createRepository, type Repository } from '../support/repository.ts'
import { callSmall, type SmallServer, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agents = { alpha: testToken(), beta: testToken() }

function permissions(beta: readonly string[]): string {
  const one = (name: 'alpha' | 'beta', servers: readonly string[]) =>
    `  ${name}:\n    token_hash: "${agents[name].hash}"\n    servers: ${JSON.stringify(servers)}\n`
  return `agents:\n${one('alpha', ['*'])}${one('beta', beta)}`
}

const wikiManifest = 'manifests/servers/wiki.yaml'
const manifest = (text: string | Buffer): Record<string, Change> => ({ [wikiManifest]: text })
const grants = (text: string): Record<string, Change> => ({ 'manifests/permissions.yaml': text })
const link = (content: string): Change => ({ mode: '120000', content })
const lfs = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4'.repeat(64)}\nsize 12345\n`
const laughs = ['a', 'b', 'c', 'd', 'e'].map((name, at) => {
  const item = at === 0 ? 'ha' : `*${String.fromCharCode(96 + at)}`
  return `  - &${name} [${Array(10).fill(item).join(', ')}]\n`
})

/** What a commit breaks, and how its one error begins. */
const broken: readonly (readonly [title: string, changes: Readonly<Record<string, Change>>, error: string])[] = [
  ['an unclosed quote', manifest('description: "wiki\n'), 'wiki.yaml:2:1 not YAML: missing closing quote'],
  ['a tab', manifest('env:\n\tA: b\n'), 'wiki.yaml:2:1 a tab cannot indent YAML'],
  ['a key twice', manifest('port: 1\npath: /mcp\nport: 2\n'), 'wiki.yaml:3:1 port: this key is here twice'],
  ['a variable to fill in', manifest('env: { A: "${HOME}" }\n'), 'wiki.yaml:1:11 env.A: "${…}" is not filled in here'],
  ['an anchor in itself', manifest('env: &a { A: *a }\n'), 'wiki.yaml:1:14 env.A: the anchor &a contains itself'],
  ['a billion laughs', manifest(`env:\n${laughs.join('')}`), 'wiki.yaml:5:37 env[3][7]: aliases that expand'],
  ['a thousand levels', manifest(`env: ${'['.repeat(5_000)}\n`), 'wiki.yaml:1:1 nested deeper than 64 levels'],
  ['more than 1 MiB', manifest(`# ${'x'.repeat(2 ** 20)}\n`), 'wiki.yaml:1:1 1048579 bytes: at most 1048576 (1 MiB)'],
  ['UTF-16', manifest(Buffer.from('\ufeffport: 1\n', 'utf16le')), 'wiki.yaml:1:1 this is UTF-16: save it as UTF-8'],
  ['Latin-1', manifest(Buffer.from('description: caf\xe9\n', 'latin1')), 'wiki.yaml:1:17 byte 0xE9 is not UTF-8'],
  ['a number for text', manifest('description: 5\n'), 'wiki.yaml:1:14 description: expected text, found the number 5'],
  ['a time without a unit', manifest('start: 60\n'), 'wiki.yaml:1:8 start: expected a time such as 250ms'],
  ['an unknown key', manifest('volumse: []\n'), 'wiki.yaml:1:1 volumse: unknown key (did you mean "volumes"?)'],
  ['a key of Compose', manifest('environment: {}\n'), 'wiki.yaml:1:1 environment: unknown key, here it is "env"'],
  ['privileged', manifest('privileged: true\n'), 'wiki.yaml:1:1 privileged: not allowed: every server runs without'],
  ['the engine’s socket', manifest('volumes: ["/var/run/docker.sock:/x"]\n'), 'wiki.yaml:1:11 volumes[0]: "/var/run/'],
  ['a folder of the machine', manifest('volumes: ["/etc:/x"]\n'), 'wiki.yaml:1:11 volumes[0]: "/etc:/x": no folder of'],
  [
    'a secret of the gateway',
    manifest('secrets: [GATEWAY_GIT_TOKEN]\n'),
    'wiki.yaml:1:11 secrets[0]: names that begin',
  ],
  ['a file that ends in .yml', { 'manifests/servers/wiki.yml': 'port: 1\n' }, 'wiki.yml:1:1 '],
  ['a context that is not there', manifest('build: servers/wikki\n'), 'wiki.yaml:1:8 build: no folder "servers/wikki"'],
  [
    'a manifest that is a symlink',
    { [wikiManifest]: link('plain.yaml') },
    'wiki.yaml:1:1 a symlink cannot be a manifest',
  ],
  ['a symlink that leaves', { 'servers/wiki/x': link('/etc/passwd') }, 'servers/wiki/x:1:1 a symlink that leaves'],
  [
    'a Git LFS pointer',
    { 'servers/wiki/model.bin': lfs },
    'servers/wiki/model.bin:1:1 a Git LFS pointer, not the file',
  ],
  ['a file of 65 MiB', { 'servers/wiki/big': Buffer.alloc(65 * 2 ** 20) }, 'servers/wiki/big:1:1 65 MiB to build from'],
  ['an unknown server', grants(permissions(['wikki'])), 'permissions.yaml:7:15 agents.beta.servers[0]: unknown server'],
  [
    'an agent twice',
    grants(permissions(['wiki']).replace('beta', 'alpha')),
    'permissions.yaml:5:3 agents.alpha: this key',
  ],
  [
    'a weak hash',
    grants('agents:\n  a: { token_hash: "sha256:1", servers: [] }\n'),
    'permissions.yaml:2:20 agents.a.token_hash',
  ],
]

describe('what people break in a commit', () => {
  let repository: Repository
  let gateway: Gateway
  let serving: readonly string[]

  const good = {
    'manifests/permissions.yaml': permissions(['wiki']),
    ...smallServer('plain', { word: 'plain' }),
    ...smallServer('wiki', { word: 'wiki' }),
  } satisfies Record<string, Change>
  const url = (server: string) => `${gateway.endpoint}/mcp/${server}`
  const call = (agent: keyof typeof agents, server: string) => callSmall(url(server), agents[agent].token, 'word')

  beforeAll(async () => {
    repository = await createRepository()
    const head = await repository.publish(good)
    gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied', servers: {} })
    serving = unitsOf(gateway.state)
  }, 2 * minutes)
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
  }, minutes)

  /** Pushes nothing but these changes to what is good, and gives the commit. */
  async function publishBroken(title: string, changes: Readonly<Record<string, Change>>): Promise<string> {
    for (const folder of ['manifests', 'servers']) await rm(join(repository.work, folder), { recursive: true })
    return repository.publish({ ...good, ...changes }, `Break it: ${title}`)
  }

  describe('is refused as a whole, and nothing that serves is touched', () => {
    let load: Load
    beforeAll(() => {
      const word = async () => expect(await call('alpha', 'plain')).toBe('plain')
      load = startLoad(() => word().then(breathe), 1)
    })
    afterAll(async () => {
      const { calls, failures } = await load.stop()
      expect(failures).toEqual([])
      expect(calls).toBeGreaterThan(broken.length)
    })

    test.each(broken)('%s', { timeout: minutes }, async (title, changes, error) => {
      const commit = await publishBroken(title, changes)
      await gateway.deliver()
      const [became, lines] = await Promise.all([gateway.becomes(commit), validated(repository.work)])
      expect(became).toMatchObject({ phase: 'rejected', reason: 'its manifests have errors', plan: [], servers: {} })
      expect(became.errors).toEqual([expect.stringContaining(error)])
      expect(lines).toEqual([...became.errors, 'not valid: 1 error'])
      expect(unitsOf(gateway.state)).toEqual(serving)
      expect(await call('alpha', 'wiki')).toBe('wiki')
      expect(await call('beta', 'wiki')).toBe('wiki')
    })

    test('a submodule', { timeout: minutes }, async () => {
      await publishBroken('clean', {})
      const oid = await repository.git('rev-parse', 'HEAD')
      await repository.git('update-index', '--add', '--cacheinfo', `160000,${oid},servers/wiki/lib`)
      await repository.git('commit', '--quiet', '--message', 'Break it: a submodule')
      await repository.push()
      const became = await gateway.becomes(await repository.git('rev-parse', 'HEAD'))
      const error = 'servers/wiki/lib:1:1 a submodule cannot be built from: its files are not in this repository'
      expect([became.phase, became.errors]).toEqual(['rejected', [error]])
      expect(unitsOf(gateway.state)).toEqual(serving)
      await repository.git('rm', '--quiet', '--cached', 'servers/wiki/lib')
    })

    test('all errors at once, in the page and in what the CLI shows', { timeout: minutes }, async () => {
      const both = { ...manifest('port: http\n'), 'manifests/servers/plain.yaml': 'prot: 1\n' }
      const became = await gateway.becomes(await publishBroken('two at once', both))
      expect(became.errors).toEqual([
        expect.stringContaining('manifests/servers/plain.yaml:1:1 prot'),
        expect.stringContaining('manifests/servers/wiki.yaml:1:7 port'),
      ])
      const page = await (await fetch(gateway.face)).text()
      expect(page).toContain('manifests/servers/plain.yaml:1:1')
      expect((await run('status', '--state', gateway.state)).join('\n')).toContain(became.errors[1])
    })
  })

  test('what its permissions take away is gone at once, what they add waits for a good commit', {
    timeout: minutes,
  }, async () => {
    const taken = await publishBroken('and take wiki from beta', {
      ...grants(permissions(['plain'])),
      ...manifest('prot: 1\n'),
    })
    expect(await gateway.becomes(taken)).toMatchObject({ phase: 'rejected' })
    await until('beta has lost wiki', () =>
      call('beta', 'wiki').then(
        () => false,
        () => true,
      ),
    )
    await expect(call('beta', 'wiki')).rejects.toThrow('HTTP 404')
    await expect(call('beta', 'plain')).rejects.toThrow('HTTP 404')
    expect(await call('alpha', 'wiki')).toBe('wiki')
    expect(unitsOf(gateway.state)).toEqual(serving)
    const mended = await repository.publish(smallServer('wiki', { word: 'wiki' }), 'Mend it')
    expect(await gateway.becomes(mended)).toMatchObject({ phase: 'applied' })
    expect(await call('beta', 'plain')).toBe('plain')
    expect(unitsOf(gateway.state)).toEqual(serving)
  })
})

describe('a server that does not come up', () => {
  let repository: Repository
  let gateway: Gateway
  const good = { word: 'good' }
  const commit = (small: SmallServer, more: Readonly<Record<string, Change>> = {}) =>
    repository.publish({ 'manifests/permissions.yaml': permissions([]), ...smallServer('demo', small), ...more })
  const word = () => callSmall(`${gateway.endpoint}/mcp/demo`, agents.alpha.token, 'word')

  beforeAll(async () => {
    repository = await createRepository()
    gateway = await startGateway('process', {
      GATEWAY_REPO: repository.bare,
      GATEWAY_OPERATOR_TOKEN: agents.beta.token,
    })
    expect(await gateway.becomes(await commit(good))).toMatchObject({ phase: 'applied' })
  }, 2 * minutes)
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
  }, minutes)
  afterEach(async () => {
    const head = await commit(good, { 'servers/demo/package.json': null, 'servers/demo/package-lock.json': null })
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied', servers: {} })
    expect((await gateway.status()).servers).toMatchObject([{ phase: 'ready' }])
  }, minutes)

  const lock = {
    name: 'demo',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: { '': { name: 'demo' } },
  }
  const faults: readonly (readonly [
    string,
    SmallServer,
    Record<string, Change>,
    reason: string | RegExp,
    log: string,
  ])[] = [
    [
      'because its packages cannot be installed',
      { word: 'unbuilt' },
      {
        'servers/demo/package.json': JSON.stringify({ name: 'demo', dependencies: { 'not-in-the-lock': '1.0.0' } }),
        'servers/demo/package-lock.json': JSON.stringify(lock),
      },
      'npm ci failed',
      'not-in-the-lock',
    ],
    [
      'because it ends',
      { word: 'ended', program: 'console.log("no dice"); process.exit(3)' },
      {},
      'it stopped with exit code 3',
      'no dice',
    ],
    [
      'because it breaks',
      { word: 'broken', program: 'import "./absent.mjs"' },
      {},
      'it stopped with exit code 1',
      'absent.mjs',
    ],
    [
      'because its program is not there',
      { word: 'absent', manifest: 'user: 10001' },
      { 'servers/demo/main.mjs': null },
      'it stopped with exit code 1',
      'main.mjs',
    ],
    [
      'because it never listens',
      { word: 'deaf', manifest: 'start: 4s', program: 'console.log("asleep"); setInterval(() => {}, 1000)' },
      {},
      /^not ready within 4 s: nothing listens at http:\/\/127\.0\.0\.1:\d+; a server listens at the HOST and PORT of its environment$/,
      'asleep',
    ],
    [
      'because it never answers',
      {
        word: 'mute',
        manifest: 'start: 15s',
        program: `import { createServer } from 'node:http'
          createServer(() => {}).listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'))`,
      },
      {},
      /^not ready within 15 s: no answer within 5 s$/,
      'listening',
    ],
    [
      'because it speaks no MCP',
      {
        word: 'web',
        manifest: 'start: 8s',
        program: `import { createServer } from 'node:http'
          createServer((_, answer) => answer.end('<h1>hello')).listen(Number(process.env.PORT), process.env.HOST)
          console.log('a web page')`,
      },
      {},
      /^not ready within 8 s: .*initialize/,
      'a web page',
    ],
  ]

  test.each(faults)('%s', { timeout: 2 * minutes }, async (_, small, more, reason, log) => {
    const load = startLoad(async () => {
      expect(await word()).toBe('good')
      await breathe()
    }, 1)
    const before = unitsOf(gateway.state)
    const became = await gateway.becomes(await commit(small, more))
    expect((await load.stop()).failures).toEqual([])
    const told = typeof reason === 'string' ? reason : expect.stringMatching(reason)
    expect(became).toMatchObject({
      phase: 'degraded',
      reason: 'demo is not as the commit says',
      errors: [],
      servers: { demo: { phase: 'stalled', reason: told } },
    })
    const [server] = (await gateway.status()).servers
    expect(server).toMatchObject({ phase: 'stalled', reason: told, log: expect.stringContaining(log) })
    expect(await (await fetch(`${gateway.face}/status/demo`)).json()).not.toHaveProperty('log')
    expect(unitsOf(gateway.state)).toEqual(before)
    expect(await word()).toBe('good')
  })

  test('is served by the one before it, also after that has stopped', { timeout: 2 * minutes }, async () => {
    const became = await gateway.becomes(await commit({ word: 'ended', program: 'process.exit(3)' }))
    expect(became.phase).toBe('degraded')
    const pid = Number(
      unitsOf(gateway.state)
        .find((unit) => unit.startsWith('demo '))
        ?.split(' ')[1],
    )
    process.kill(pid, 'SIGKILL')
    await until('it runs again', () =>
      unitsOf(gateway.state).some((unit) => unit.startsWith('demo ') && !unit.endsWith(` ${pid}`)),
    )
    await until('it serves again', () =>
      word().then(
        (said) => said === 'good',
        () => false,
      ),
    )
    const isStalled = async () => (await gateway.status()).servers[0]?.phase === 'stalled'
    await until('it is stalled as before', isStalled, minutes)
  })
})

/** One call after the other, and room between them on a machine with little of it. */
function breathe(): Promise<void> {
  return new Promise((done) => setTimeout(done, 20))
}

const cli = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))

/** The lines that a verb of the CLI prints, whether it is content or not. */
function run(...args: readonly string[]): Promise<readonly string[]> {
  return new Promise((done) => {
    const options = { env: usual, timeout: minutes }
    execFile(process.execPath, [cli, ...args], options, (_, stdout) => done(stdout.trimEnd().split('\n')))
  })
}

function validated(folder: string): Promise<readonly string[]> {
  return run('validate', folder)
}
