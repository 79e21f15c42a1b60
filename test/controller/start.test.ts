import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeWelcome, type Welcome } from '../../controller/cli/announce.ts'
import { openDemo } from '../../controller/cli/demo.ts'
import { configure, environmentOf, recall, remember } from '../../controller/cli/environment.ts'
import { demandFree } from '../../controller/cli/port.ts'
import { chooseRuntime } from '../../controller/cli/runtime.ts'
import { hashToken } from '../../controller/cli/token.ts'
import { HostDown } from '../../controller/host.ts'
import { createMemoryController, serverStatus } from '../support/controller.ts'
import { suite } from '../support/machine.ts'
import { createRepository, type Repository } from '../support/repository.ts'

let state: string
let closing: (() => unknown)[]
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'start-'))
  closing = [() => rm(state, { recursive: true })]
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
})

function server(name: string, engines: Record<string, string>, more = 'command: [node, main.js]\n') {
  return {
    [`manifests/servers/${name}.yaml`]: `description: the server ${name}\nbuild: { context: ., paths: [servers/${name}], dockerfile: servers/${name}/Dockerfile }\n${more}`,
    [`servers/${name}/Dockerfile`]: 'FROM scratch\n',
    [`servers/${name}/package.json`]: JSON.stringify({ name, engines }),
    [`servers/${name}/run.sh`]: { mode: '100755', content: '#!/bin/sh\n' },
  } as const
}

describe('the demo repository', () => {
  let checkout: Repository
  beforeEach(async () => {
    checkout = await createRepository()
    closing.push(() => checkout[Symbol.asyncDispose]())
    await checkout.commit({
      'README.md': 'not of any server\n',
      'controller/main.ts': '',
      ...server('plain', { node: '>=20', npm: '*' }),
      ...server('drawing', { node: '>=20', 'a-program-that-nobody-has': '*' }),
      ...server('boxed', {}, ''),
    })
  })

  const git = (repository: string, ...args: string[]) =>
    execFileSync('git', ['--git-dir', repository, ...args], { encoding: 'utf8' })

  test('has one commit with an agent, what can run here, and the files of that', async () => {
    const { repository, token } = await openDemo(checkout.work, state, 'process')
    expect(git(repository, 'ls-tree', '-r', '--format=%(objectmode) %(path)', 'main').trim().split('\n')).toEqual([
      '100644 manifests/permissions.yaml',
      '100644 manifests/servers/plain.yaml',
      '100644 servers/plain/Dockerfile',
      '100644 servers/plain/package.json',
      '100755 servers/plain/run.sh',
    ])
    expect(git(repository, 'rev-list', '--count', 'main').trim()).toBe('1')
    expect(git(repository, 'show', 'main:manifests/permissions.yaml')).toContain(hashToken(token))
  })

  test('names what it left out, and why, each time', async () => {
    const leftOut = [
      { name: 'boxed', reason: 'only Docker can run it' },
      { name: 'drawing', reason: 'it needs a-program-that-nobody-has, which is not on the PATH' },
    ]
    expect((await openDemo(checkout.work, state, 'process')).leftOut).toEqual(leftOut)
    expect((await openDemo(checkout.work, state, 'process')).leftOut).toEqual(leftOut)
  })

  test('has everything where there is Docker', async () => {
    const { repository, leftOut } = await openDemo(checkout.work, state, 'docker')
    expect(leftOut).toEqual([])
    expect(git(repository, 'ls-tree', '--name-only', 'main', 'servers/').trim().split('\n')).toHaveLength(3)
  })

  test('says how to get what was left out, once there is Docker', async () => {
    const { repository } = await openDemo(checkout.work, state, 'process')
    const { leftOut } = await openDemo(checkout.work, state, 'docker')
    expect(leftOut.map(({ name }) => name)).toEqual(['boxed', 'drawing'])
    for (const { reason } of leftOut) expect(reason).toContain(`${repository} was made where only processes run`)
  })

  test('and its token stay as they are', async () => {
    const first = await openDemo(checkout.work, state, 'process')
    const head = git(first.repository, 'rev-parse', 'main')
    await checkout.commit({ 'servers/plain/package.json': '{}' })
    const second = await openDemo(checkout.work, state, 'process')
    expect(second).toEqual(first)
    expect(git(second.repository, 'rev-parse', 'main')).toBe(head)
    expect((await stat(join(state, 'demo-token'))).mode & 0o777).toBe(0o600)
  })

  test('takes what is committed, and not what is being edited', async () => {
    await checkout.git('rm', '-q', '--cached', 'servers/plain/run.sh')
    const { repository } = await openDemo(checkout.work, state, 'process')
    expect(git(repository, 'ls-tree', '-r', '--name-only', 'main')).toContain('run.sh')
  })

  suite('with what a shell needs', ['tools'], () => {
    test('takes a push, as the welcome shows it', async () => {
      const demo = await openDemo(checkout.work, state, 'process')
      const status = await createMemoryController().status('public')
      const pushes = /^ {2}(\(cd .*\))$/m.exec(describeWelcome({ ...welcome, ...demo }, status))?.[1] ?? ''
      execFileSync('sh', ['-c', pushes], { env: { PATH: process.env.PATH, HOME: state, TMPDIR: state } })
      expect(git(demo.repository, 'rev-list', '--count', 'main').trim()).toBe('2')
      expect(git(demo.repository, 'show', 'main:manifests/servers/plain.yaml')).toMatch(
        /^description: Changed by a push/,
      )
    })
  })

  test('is not made of what has faults, and each is named', async () => {
    await checkout.commit({ 'manifests/servers/plain.yaml': 'description: x\nport: many\n' })
    await expect(openDemo(checkout.work, state, 'process')).rejects.toThrow(
      /manifests\/servers\/plain\.yaml:2:\d+ port/,
    )
  })

  test('is not made of a folder without history', async () => {
    await rm(join(checkout.work, '.git'), { recursive: true })
    await expect(openDemo(checkout.work, state, 'process')).rejects.toThrow('it has no history')
  })
})

const welcome: Welcome = {
  endpoint: 'https://gateway.example',
  here: 'http://127.0.0.1:3100',
  page: 'http://127.0.0.1:3110/',
  repository: '/srv/it is here/repo.git',
  token: 'the-token',
  example: 'wiki',
  leftOut: [{ name: 'draw', reason: 'it needs a program' }],
}

describe('the welcome', () => {
  async function describeWith(changes: Partial<Welcome>) {
    const controller = createMemoryController()
    controller.servers.push(
      serverStatus('wiki'),
      serverStatus('mail', { phase: 'deploying' }),
      serverStatus('chat', { phase: 'stalled', reason: 'the build failed' }),
      serverStatus('paint', { phase: 'waiting', reason: 'PAINT_KEY is not in the secrets file' }),
    )
    return describeWelcome({ ...welcome, ...changes }, await controller.status('public'))
  }

  test('names endpoint, page, repository and token, what is on the way and what cannot run', async () => {
    const text = await describeWith({})
    for (const shown of [
      /^endpoint +https:\/\/gateway\.example\/mcp$/m,
      /^status +http:\/\/127\.0\.0\.1:3110\/$/m,
      /^repository +\/srv\/it is here\/repo\.git$/m,
      /^token +the-token$/m,
      /^Still on the way: mail$/m,
      /^ {2}draw +it needs a program$/m,
      /^ {2}chat +the build failed; the next commit tries it again$/m,
      /^ {2}paint +PAINT_KEY is not in the secrets file$/m,
    ])
      expect(text).toMatch(shown)
    expect(text).toContain("git clone -q '/srv/it is here/repo.git' .")
  })

  test('shows no push and no token for a repository that is not the demo', async () => {
    const text = await describeWith({ token: undefined, example: undefined, leftOut: [] })
    expect(text).toContain('Bearer $TOKEN')
    expect(text).not.toContain('git push')
  })
})

describe('the runtime', () => {
  const signal = AbortSignal.timeout(10_000)
  const image = { Id: 'x', Config: { User: '', Labels: null } }

  test.each<readonly [string, string, () => Promise<typeof image | undefined>, () => Promise<string>]>([
    ['docker', 'the base image is there', async () => image, async () => 'never asked'],
    ['docker', 'it can be pulled', async () => undefined, async () => ''],
    ['process', 'it cannot be pulled', async () => undefined, async () => 'no such host'],
  ])('is %s where an engine answers and %s', async (runtime, _name, look, pull) => {
    expect((await chooseRuntime(signal, { image: look, pull })).runtime).toBe(runtime)
  })

  test('is process where no engine answers, and says so', async () => {
    const image = async (): Promise<undefined> => {
      throw new HostDown('no Docker engine answers at the socket')
    }
    const choice = await chooseRuntime(signal, { image, pull: async () => '' })
    expect(choice).toEqual({ runtime: 'process', because: 'no Docker engine answers at the socket' })
  })
})

describe('a port', () => {
  async function listen(answer: string): Promise<number> {
    const server = createServer((_request, response) => response.end(answer)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    closing.push(() => server.close())
    return (server.address() as AddressInfo).port
  }

  test('in use is named, with the way out', async () => {
    const port = await listen('<p>hello')
    for (const left of ['nothing', 'gateway'] as const)
      await expect(demandFree({ host: '127.0.0.1', port }, left)).rejects.toThrow(
        `port ${port} of 127.0.0.1 is in use; --port`,
      )
  })

  test('may be held by a gateway that outlived its controller', async () => {
    const port = await listen('{"status":"healthy","agents":1,"servers":3,"revision":7}')
    await demandFree({ host: '127.0.0.1', port }, 'gateway')
    await expect(demandFree({ host: '127.0.0.1', port }, 'nothing')).rejects.toThrow('is in use')
  })
})

describe('the configuration', () => {
  test('suits one person on one machine, and differs with the state', () => {
    const config = configure(environmentOf({ state, repo: '/repo.git', runtime: 'process', port: 4000 }))
    expect(config).toMatchObject({
      runtime: 'process',
      state,
      poll: '*/2 * * * * *',
      proxy: { listen: { host: '127.0.0.1', port: 4000 } },
      status: { listen: { host: '127.0.0.1', port: 4010 } },
    })
    expect(config.instance).toMatch(/^dev-[0-9a-f]{6}$/)
    const other = configure(environmentOf({ state: '/elsewhere', repo: '/repo.git', runtime: 'process' }))
    expect(other.instance).not.toBe(config.instance)
  })

  test('is found again by whoever cleans up', async () => {
    const environment = environmentOf({ state, repo: '/repo.git', runtime: 'process', port: 4000 })
    await remember(state, environment)
    const { instance, runtime, proxy } = await recall(state)
    expect({ instance, runtime, proxy }).toMatchObject({
      instance: environment.GATEWAY_INSTANCE,
      runtime: 'process',
      proxy: { listen: { port: 4000 } },
    })
  })
})
