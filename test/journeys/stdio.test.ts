import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callers } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { suite } from '../support/machine.ts'
import { readPage } from '../support/page.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import type { Runtime } from '../support/setting.ts'

const agent = testToken()
const minutes = 60_000

/** The files that docs/add-a-server.md shows, and the lockfile that its command makes. */
async function shownFiles(): Promise<Readonly<Record<string, string>>> {
  const folder = await mkdtemp(join(tmpdir(), 'stdio-package-'))
  try {
    const blocks = (await readPage('add-a-server.md')).chapter('An existing stdio server')
    const files = blocks.flatMap((block) => (block.kind === 'file' ? [[block.path, block.text] as const] : []))
    for (const [path, text] of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    for (const { kind, text } of blocks)
      if (kind === 'commands') await promisify(execFile)('sh', ['-euc', text], { cwd: folder })
    const lockfile = 'servers/everything/package-lock.json'
    return Object.fromEntries([...files, [lockfile, await readFile(join(folder, lockfile), 'utf8')]])
  } finally {
    await rm(folder, { recursive: true })
  }
}

function journey(runtime: Runtime): void {
  describe('an npm package that knows nothing of HTTP', () => {
    let files: Readonly<Record<string, string>>
    let repository: Repository
    let gateway: Gateway

    beforeAll(async () => {
      repository = await createRepository()
      files = await shownFiles()
      await repository.publish({
        'manifests/permissions.yaml': `agents:\n  ann: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
        ...files,
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
      const path = 'manifests/servers/everything.yaml'
      const manifest = files[path] ?? ''
      const broken = manifest.replace(/node_modules\S+index\.js/, 'absent.js').replace(/^/, 'start: 5s\n')
      const head = await repository.publish({ [path]: broken })
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'degraded' })
      const [server] = (await gateway.status()).servers
      expect(server?.log).toMatch(
        /its last answer: the program ended by itself \(exit code 1\); its last words: .*Cannot find module/,
      )
      await gateway.becomes(await repository.publish({ [path]: manifest }))
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
suite('stdio on the Docker engine', ['docker', 'product', 'tools'], () => journey('docker'))
