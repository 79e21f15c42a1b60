import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callers } from '../support/clients.ts'
import { type Gateway, type Runtime, startGateway, testToken } from '../support/gateway.ts'
import { baseImage, suite } from '../support/machine.ts'
import { createRepository, type Repository } from '../support/repository.ts'

const agent = testToken()
const minutes = 60_000
const entry = 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'

const manifest = `description: Everything that a server can do
stdio: { sessions: 6 }
command: [node, ${entry}, stdio]
limits: { memory: 1g }
`

const dockerfile = `FROM ${baseImage}
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
`

/** What npm needs to install the server as it is published. */
async function packageFiles(): Promise<Readonly<Record<string, string>>> {
  const folder = await mkdtemp(join(tmpdir(), 'stdio-package-'))
  try {
    const dependencies = { '@modelcontextprotocol/server-everything': '2026.8.31' }
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ name: 'everything', version: '1.0.0', dependencies }),
    )
    await promisify(execFile)('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit'], {
      cwd: folder,
    })
    const read = (name: string) => readFile(join(folder, name), 'utf8')
    return {
      'servers/everything/package.json': await read('package.json'),
      'servers/everything/package-lock.json': await read('package-lock.json'),
      'servers/everything/Dockerfile': dockerfile,
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

function journey(runtime: Runtime): void {
  describe('an npm package that knows nothing of HTTP', () => {
    let repository: Repository
    let gateway: Gateway

    beforeAll(async () => {
      repository = await createRepository()
      await repository.publish({
        'manifests/permissions.yaml': `agents:\n  ann: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
        'manifests/servers/everything.yaml': manifest,
        ...(await packageFiles()),
      })
      gateway = await startGateway(runtime, { GATEWAY_REPO: repository.bare })
    }, 2 * minutes)

    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]()
      await repository?.[Symbol.asyncDispose]()
    }, 2 * minutes)

    test('is built, started and found ready', { timeout: 10 * minutes }, async () => {
      const head = await repository.git('rev-parse', 'HEAD')
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied', errors: [] })
      expect((await gateway.status()).servers).toMatchObject([{ name: 'everything', phase: 'ready' }])
    })

    test('has its exit code and last words told to operators where it does not start', {
      timeout: 2 * minutes,
    }, async () => {
      const broken = manifest.replace(entry, 'absent.js').replace('description', 'start: 5s\ndescription')
      const head = await repository.publish({ 'manifests/servers/everything.yaml': broken })
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'degraded' })
      const [server] = (await gateway.status()).servers
      expect(server?.log).toMatch(
        /its last answer: the program ended by itself \(exit code 1\); its last words: .*Cannot find module/,
      )
      await gateway.becomes(await repository.publish({ 'manifests/servers/everything.yaml': manifest }))
    })

    test.for(['v1', 'v2', 'curl'] as const)('is called by %s, on the joint and on its own endpoint', async (kind) => {
      await using own = await callers[kind](`${gateway.endpoint}/mcp/everything`, agent.token)
      expect(await own.tools()).toEqual(expect.arrayContaining(['echo', 'get-sum']))
      expect(await own.call('echo', { message: 'grüße 😀' })).toContain('grüße 😀')
      expect(await own.call('get-sum', { a: 2, b: 40 })).toContain('42')
      await using joint = await callers[kind](`${gateway.endpoint}/mcp`, agent.token)
      expect(await joint.tools()).toContain('everything__echo')
      expect(await joint.call('everything__get-sum', { a: 1, b: 1 })).toContain('2')
    })
  })
}

suite('stdio on the process host', ['tools'], () => journey('process'))
suite('stdio on the Docker engine', ['docker', 'tools'], () => journey('docker'))
