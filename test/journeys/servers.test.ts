import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { checkoutFiles } from '../support/checkout.ts'
import { type Caller, callers, post } from '../support/clients.ts'
import { inspect, runIn } from '../support/engine.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { baseImage, suite } from '../support/machine.ts'
import { createRepository } from '../support/repository.ts'
import { type Call, type Served, served } from './served.ts'
import type { Surroundings } from './surroundings.ts'

const minutes = 60_000
const megabyte = 1e6
const agent = testToken()
const names = Object.keys(served).toSorted()
const root = fileURLToPath(new URL('../..', import.meta.url))

const Container = z.looseObject({
  Image: z.string(),
  Config: z.looseObject({ User: z.string(), Env: z.array(z.string()) }),
  HostConfig: z.looseObject({
    ReadonlyRootfs: z.boolean(),
    Privileged: z.boolean(),
    CapDrop: z.array(z.string()),
    SecurityOpt: z.array(z.string()),
    Memory: z.number(),
    PidsLimit: z.number(),
  }),
})
const Image = z.looseObject({ Size: z.number() })
const Listed = z.object({
  result: z.object({
    tools: z.array(
      z.looseObject({
        name: z.string(),
        description: z.string().min(10),
        inputSchema: z.looseObject({ type: z.literal('object') }),
        annotations: z.looseObject({ readOnlyHint: z.boolean(), openWorldHint: z.boolean() }),
      }),
    ),
  }),
})

test('each server that has an image is told of here, shows an example, and has its port', () => {
  const folders = readdirSync(join(root, 'servers')).filter((name) =>
    readdirSync(join(root, 'servers', name)).includes('Dockerfile'),
  )
  expect(names).toEqual(folders.toSorted())
  for (const name of names)
    expect(readFileSync(join(root, 'servers', name, 'README.md'), 'utf8')).toMatch(/^```[^`]*"name": ?"/m)
  const ports = names.map((name) => /^port: (\d+)$/m.exec(manifestOf(name))?.[1])
  expect(ports).toEqual(names.map((name) => String(served[name]?.port)))
})

suite('the servers of this project on the Docker engine', ['docker', 'product', 'mermaid', 'tools', 'chromium'], () => {
  const opened = new AsyncDisposableStack()
  const containers = new Map<string, string>()
  let gateway: Gateway

  beforeAll(async () => {
    const around = await surroundings(opened)
    const repository = opened.use(await createRepository())
    const head = await repository.publish({
      ...(await checkoutFiles('.dockerignore', 'manifests/servers', 'servers')),
      ...around.manifests,
      'manifests/permissions.yaml': `agents:\n  ann: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
    })
    gateway = opened.use(
      await startGateway('docker', {
        GATEWAY_REPO: repository.bare,
        GATEWAY_SECRETS: around.file,
        GATEWAY_MOUNTS: around.mounts.join(','),
      }),
    )
    const became = await gateway.becomes(head)
    expect(became, JSON.stringify(became)).toMatchObject({ phase: 'applied', errors: [], servers: {} })
    const ours = labelsOf({ instance: gateway.instance })
    for (const { Id, Config } of await openEngine().containers(ours, AbortSignal.timeout(30_000)))
      containers.set(mark(Config.Labels, 'server') ?? '', Id)
  }, 10 * minutes)
  afterAll(() => opened.disposeAsync(), 2 * minutes)

  const of = (name: string) => {
    const [entry, container] = [served[name], containers.get(name)]
    if (entry === undefined || container === undefined) throw new Error(`no container of ${name} runs`)
    return { entry, container, url: `${gateway.endpoint}/mcp/${name}` }
  }

  test.for(names)('%s describes its tools', async (name) => {
    const { body } = await post(of(name).url, agent.token, { jsonrpc: '2.0', id: 1, method: 'tools/list' })
    const { tools } = Listed.parse(body).result
    const called = [...(served[name]?.calls ?? []), of(name).entry.refused].map(([tool]) => tool)
    expect(tools.map((tool) => tool.name)).toEqual(expect.arrayContaining(called))
    expect(JSON.stringify(tools).length).toBeLessThan(20_000)
  })

  test.for(names)('%s answers both clients, and says what it cannot do', { timeout: 3 * minutes }, async (name) => {
    const { entry, url } = of(name)
    for (const kind of ['v1', 'v2'] as const) {
      await using caller = await callers[kind](url, agent.token)
      let before = ''
      for (const call of entry.calls) {
        before = await ask(caller, call, before)
        expect(before).toMatch(call[2])
      }
      await expect(ask(caller, entry.refused)).rejects.toThrow(entry.refused[2])
    }
  })

  test('all of them answer behind one address', { timeout: 2 * minutes }, async () => {
    await using caller = await callers.v2(`${gateway.endpoint}/mcp`, agent.token)
    for (const name of names) {
      const [[tool, args, answer]] = of(name).entry.calls
      expect(await ask(caller, [`${name.replace(/^(?=\d)/, '_')}__${tool}`, args, answer])).toMatch(answer)
    }
  })

  test.for(names)('%s says how it is, where it should', async (name) => {
    const { container, entry } = of(name)
    const health = /^health: (\S+)$/m.exec(manifestOf(name))?.[1] ?? ''
    const paths = [health, '/healthz', '/readyz', '/health']
    const ask = `Promise.all(${JSON.stringify(paths)}.map(async (path) =>
      (await (await fetch('http://127.0.0.1:${entry.port}' + path)).json()).status)).then((all) => console.log(all.join()))`
    expect(await runIn(container, ['node', '-e', ask])).toEqual({ code: 0, output: 'ready,ok,ready,ready\n' })
  })

  test.for(names)('%s can change nothing of its image, and is nobody there', async (name) => {
    const { container } = of(name)
    const { Config, HostConfig } = await inspect(`/containers/${container}/json`, Container)
    expect(Config.User).not.toMatch(/^(0|root)?(:|$)/)
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, Privileged: false, CapDrop: ['ALL'] })
    expect(HostConfig.SecurityOpt).toContain('no-new-privileges:true')
    expect(HostConfig.Memory).toBeGreaterThan(0)
    expect(HostConfig.PidsLimit).toBeGreaterThan(0)
    const tried = 'test "$(id -u)" != 0; for at in / /app /usr/local/bin; do ! touch "$at/x" 2>&1 || exit 1; done'
    expect(await runIn(container, ['sh', '-ec', tried])).toMatchObject({
      code: 0,
      output: expect.stringContaining('Read-only file system'),
    })
  })

  test.for(names)('%s is as large as the README says', async (name) => {
    const [, told] =
      RegExp(`^\\| \\[${name}\\].* (\\d+) \\|$`, 'm').exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
    const sizeOf = async (image: string) => (await inspect(`/images/${image}/json`, Image)).Size / megabyte
    const { Image: own } = await inspect(`/containers/${of(name).container}/json`, Container)
    const size = (await sizeOf(own)) - (await sizeOf(baseImage))
    expect(Math.abs(size - Number(told)), `${size} MB`).toBeLessThan(5 + size / 10)
  })
})

function ask(caller: Caller, [tool, args]: Call, before = ''): Promise<string> {
  return caller.call(tool, typeof args === 'function' ? args(before) : args)
}

interface Around {
  /** The secrets file. */
  readonly file: string
  readonly mounts: readonly string[]
  /** Manifests as they are here. */
  readonly manifests: Readonly<Record<string, string>>
}

async function surroundings(opened: AsyncDisposableStack): Promise<Around> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-machine-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const all: [string, Surroundings][] = []
  for (const [name, { surround }] of Object.entries<Served>(served)) all.push([name, (await surround?.(opened)) ?? {}])
  const secrets = all.flatMap(([, around]) => Object.entries(around.secrets ?? {}))
  const file = join(folder, '.env')
  await writeFile(file, secrets.map(([name, value]) => `${name}=${value}\n`).join(''))
  return {
    file,
    mounts: all.flatMap(([, { mounts = {} }]) => Object.entries(mounts).map(([name, path]) => `${name}=${path}`)),
    manifests: Object.fromEntries(
      all.map(([name, { manifest }]) => [
        `manifests/servers/${name}.yaml`,
        manifest?.(manifestOf(name)) ?? manifestOf(name),
      ]),
    ),
  }
}

function manifestOf(name: string): string {
  return readFileSync(join(root, 'manifests/servers', `${name}.yaml`), 'utf8')
}
