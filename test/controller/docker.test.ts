import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { serverContainer } from '../../controller/docker/container.ts'
import { openDockerHost, openEngine } from '../../controller/docker/docker.ts'
import type { Engine } from '../../controller/docker/engine.ts'
import { createDockerHost } from '../../controller/docker/host.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import { BuildFailed, HostDown, unitName } from '../../controller/host.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { fetchIn, removeInstance, runIn, testInstance } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import { freePort, portOf } from '../support/port.ts'
import { clear, find, generationOf, requestOf, running } from '../support/stage.ts'
import { made, makeReady, signal } from './host-contract/stand.ts'

vi.setConfig({ testTimeout: 60_000 })

suite('a Docker host', ['docker'], () => {
  const engine = openEngine()
  let fixture: DockerFixture

  beforeAll(async () => {
    fixture = await openDockerFixture()
    await makeReady(fixture.host)
  })
  afterEach(() => clear(fixture.host))
  afterAll(() => fixture?.close())

  async function theProxy(): Promise<string> {
    const [proxy] = (await fixture.host.observe(signal)).proxies
    return proxy?.id ?? expect.unreachable('no proxy')
  }

  async function shell(id: string, script: string): Promise<string> {
    return (await runIn(id, ['sh', '-c', script])).output.trim()
  }

  describe('and its edge', () => {
    test('keep an open connection and the way out while servers come', async () => {
      await expect.poll(() => fetch(fixture.published).then(({ status }) => status, String)).toBe(200)
      const { port } = fixture.options.listen
      const connection = connect(port, '127.0.0.1')
      await once(connection, 'connect')
      const route = "sed -n 's/^\\(eth[0-9]*\\)\\t00000000\\t\\([0-9A-F]*\\)\\t.*/\\2/p' /proc/net/route"
      const before = await shell(await theProxy(), route)
      for (const server of ['0', 'zz']) {
        await fixture.host.build(requestOf(server, made), signal)
        await fixture.host.start(generationOf(made, { server }), signal)
      }
      expect(await shell(await theProxy(), route)).toBe(before)
      expect(before).toMatch(/^[0-9A-F]{8}$/)
      connection.end('GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n')
      expect(await text(connection)).toContain('200 OK')
    })

    test('share a namespace that forwards nothing and hands waiting connections on', async () => {
      const read = 'cd /proc/sys/net/ipv4; cat ip_forward tcp_migrate_req'
      expect(await shell(await theProxy(), read)).toBe('0\n1')
    })

    test('(15) do without where the kernel does not hand connections on, and say what that costs', async () => {
      expect((await fixture.host.observe(signal)).edge?.remark).toBeUndefined()
      const older: Engine = {
        ...engine,
        createContainer(name, options, limit) {
          const { Sysctls: given = {}, ...rest } = options.HostConfig
          // A setting that this kernel does not have either, so that it is the engine that refuses.
          const Sysctls = Object.fromEntries(
            Object.entries(given).map(([key, value]) => [key.replace('migrate_req', 'migrate_req_of_later'), value]),
          )
          return engine.createContainer(name, { ...options, HostConfig: { ...rest, Sysctls } }, limit)
        },
      }
      const instance = testInstance()
      const options = { ...fixture.options, instance, listen: { host: '127.0.0.1', port: await freePort() } }
      const host = await createDockerHost(older, options, signal)
      try {
        await host.prepare(() => {}, signal)
        for (const _ of ['made', 'found again']) {
          await host.startEdge(signal)
          expect((await host.observe(signal)).edge).toMatchObject({
            state: 'running',
            remark: expect.stringMatching(/^proxies are replaced with a few reset connections: /),
          })
        }
        await host.startProxy(signal)
        const published = `http://127.0.0.1:${options.listen.port}`
        await expect.poll(() => fetch(published).then(({ status }) => status, String)).toBe(200)
      } finally {
        await removeInstance(instance)
      }
    })

    test('are found again where the engine has restarted edge, and the proxy with them', async () => {
      const old = await theProxy()
      const { edge } = await fixture.host.observe(signal)
      await engine.stopContainer(edge?.id ?? '', 1, signal)
      await fixture.host.startEdge(signal)
      await fixture.host.startProxy(signal)
      const after = await fixture.host.observe(signal)
      expect(after.edge).toMatchObject({ id: edge?.id, state: 'running' })
      expect(after.proxies).toHaveLength(1)
      expect(after.proxies[0]?.id).not.toBe(old)
      await expect.poll(() => fetch(fixture.published).then(({ status }) => status, String)).toBe(200)
    })

    test('move to another address, and keep the servers in reach', async () => {
      const own = await openDockerFixture()
      const moved = await openDockerFixture({ instance: own.instance, state: own.state })
      try {
        for (const step of [own.host, moved.host]) {
          await step.prepare(() => {}, signal)
          await step.startEdge(signal)
          await step.startProxy(signal)
          await step.build(requestOf('witness', made), signal)
          await step.start(generationOf(made), signal)
        }
        expect((await moved.host.observe(signal)).edge?.address).toBe(moved.host.wantedFrom().address)
        await expect.poll(() => fetch(moved.published).then(({ status }) => status, String)).toBe(200)
        const upstreams = (await moved.host.observe(signal)).generations.map(({ upstream = '' }) => upstream)
        expect(upstreams).toHaveLength(2)
        for (const upstream of upstreams)
          await expect.poll(() => moved.fetchFromProxy(upstream).catch(String)).toBe('here')
      } finally {
        await moved.close()
        await own.close()
      }
    })

    test('say in one line that the address is taken', async () => {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      const own = await openDockerFixture({ listen: { host: '127.0.0.1', port: portOf(taken) } })
      try {
        await own.host.prepare(() => {}, signal)
        await expect(own.host.startEdge(signal)).rejects.toThrow(
          `GATEWAY_PROXY_LISTEN: 127.0.0.1:${portOf(taken)} is in use by another program: end it, or choose another port`,
        )
        taken.close()
        await once(taken, 'close')
        await own.host.startEdge(signal)
        expect((await own.host.observe(signal)).edge).toMatchObject({ state: 'running' })
      } finally {
        taken.close()
        await own.close()
      }
    })

    test('reach the machine by its name', async () => {
      const open = createServer((_, answer) => answer.end('the machine')).listen(0, '0.0.0.0')
      await once(open, 'listening')
      expect(await fetchIn(await theProxy(), `http://host.docker.internal:${portOf(open)}`)).toBe('the machine')
      open.close()
    })
  })

  describe('and its proxies', () => {
    test('are no more than their folders and the socket', async () => {
      const socket = createServer((_, answer) => answer.end('a table'))
      socket.listen({ path: join(fixture.state, 'run', 'table.sock'), writableAll: true })
      await once(socket, 'listening')
      const proxy = await theProxy()
      expect(await shell(proxy, 'id -u; cat /proc/self/status')).toMatch(/^1000\n.*CapBnd:\t0{16}.*NoNewPrivs:\t1/s)
      expect(await shell(proxy, 'stat -c "%u %a" $GATEWAY_PROXY_STATE; echo a >$GATEWAY_PROXY_STATE/a')).toBe(
        '1000 700',
      )
      expect(await shell(proxy, 'echo a >/opt/a')).toContain('Read-only file system')
      expect(await shell(proxy, 'echo a >$(dirname $GATEWAY_TABLE_SOCKET)/a')).toContain('Read-only file system')
      expect(await shell(proxy, 'ls /var/run/docker.sock')).toContain('No such file')
      const asking = `require("http").get({ socketPath: process.env.GATEWAY_TABLE_SOCKET }, (answer) => answer.pipe(process.stdout))`
      expect((await runIn(proxy, ['node', '-e', asking])).output).toBe('a table')
      socket.close()
    })
  })

  describe('and what is not its own', () => {
    const foreign: string[] = []
    afterEach(async () => {
      for (const id of foreign.splice(0)) await engine.removeContainer(id, 'even running', signal)
    })

    /** A container that somebody else runs. */
    async function makeForeign(name: string): Promise<string> {
      const HostConfig = { NetworkMode: 'none' }
      const options = { Image: baseImage, Labels: {}, Entrypoint: ['sleep'], Cmd: ['300'], HostConfig }
      const container = await engine.createContainer(name, options, signal)
      if (container === 'taken') throw new Error(`${name} is taken`)
      foreign.push(container.id)
      await engine.startContainer(container.id, signal)
      return container.id
    }

    test('never stops, removes or resumes it', async () => {
      const id = await makeForeign(`${fixture.instance}-foreign`)
      const { host } = fixture
      for (const verb of [host.stop, host.remove, host.resume])
        await expect(verb.call(host, id, signal)).rejects.toThrow(`is not of instance ${fixture.instance}`)
      expect((await engine.container(id, signal))?.State.Status).toBe('running')
      expect((await host.observe(signal)).generations).toEqual([])
    })

    test('does not take over a container that only has the name', async () => {
      const generation = generationOf(made)
      const id = await makeForeign(unitName(fixture.instance, 'witness', generation.spec))
      await expect(fixture.host.start(generation, signal)).rejects.toThrow('is not this generation')
      expect((await engine.container(id, signal))?.State.Status).toBe('running')
    })

    test('does not take over a network or a volume that only has the name', async () => {
      const { instance, host } = fixture
      const name = `${instance}-alien`
      await engine.createNetwork({ Name: name, Internal: false, Labels: {}, Options: {} }, signal)
      await engine.createVolume(`${instance}-witness-alien`, {}, signal)
      try {
        await host.build(requestOf('alien', made), signal)
        await expect(host.start(generationOf(made, { server: 'alien' }), signal)).rejects.toThrow(
          `network ${name} exists`,
        )
        const mounts = [{ kind: 'volume', source: 'alien', target: '/data' }] as const
        await expect(host.start(generationOf(made, { mounts }), signal)).rejects.toThrow(
          `volume ${instance}-witness-alien exists`,
        )
        await host.forget('alien', signal)
        expect((await engine.networks(signal)).map(({ Name }) => Name)).toContain(name)
        expect(await running(host)).toEqual([])
      } finally {
        await engine.removeNetwork(name, signal)
        await engine.removeVolume(`${instance}-witness-alien`, signal)
      }
    })

    test('takes nothing for a unit that somebody runs from an image of ours', async () => {
      const own = await openDockerFixture()
      try {
        await own.host.build(requestOf('witness', made), signal)
        const Image = `${own.instance}/witness:${made.input.hash.slice(0, 12)}`
        const options = { Image, Labels: {}, Entrypoint: ['sleep'], Cmd: ['300'], HostConfig: { NetworkMode: 'none' } }
        const theirs = await engine.createContainer(`${own.instance}-look`, options, signal)
        if (theirs === 'taken') throw new Error('the name is taken')
        await engine.startContainer(theirs.id, signal)
        expect((await own.host.observe(signal)).generations).toEqual([])
        await own.host.forget('witness', signal)
        expect((await own.host.observe(signal)).left).toEqual(new Set())
        await own.host.down({ volumes: true }, signal)
        expect((await engine.container(theirs.id, signal))?.State.Status).toBe('running')
      } finally {
        await own.close()
      }
    })

    test('joins the networks of others that it is told to, and no other', async () => {
      const name = `zz-${testInstance()}`
      await engine.createNetwork({ Name: name, Internal: false, Labels: {}, Options: {} }, signal)
      const own = await openDockerFixture({ networks: [name] })
      try {
        await own.host.prepare(() => {}, signal)
        await own.host.startEdge(signal)
        await own.host.startProxy(signal)
        const HostConfig = { NetworkMode: name }
        const Cmd = ['-e', 'require("http").createServer((_, answer) => answer.end("theirs")).listen(80)']
        const options = { Image: baseImage, Labels: {}, Entrypoint: ['node'], Cmd, HostConfig }
        const theirs = await engine.createContainer(`${own.instance}-theirs`, options, signal)
        if (theirs === 'taken') throw new Error('the name is taken')
        foreign.push(theirs.id)
        await engine.startContainer(theirs.id, signal)
        await expect.poll(() => own.fetchFromProxy(`http://${own.instance}-theirs`).catch(String)).toBe('theirs')
        await own.host.down({ volumes: true }, signal)
        expect((await engine.networks(signal)).map(({ Name }) => Name)).toContain(name)
        expect((await engine.container(theirs.id, signal))?.State.Status).toBe('running')
      } finally {
        for (const id of foreign.splice(0)) await engine.removeContainer(id, 'even running', signal)
        await own.close()
        await engine.removeNetwork(name, signal)
      }
    })

    test('refuses a network that is absent', async () => {
      const words = 'GATEWAY_NETWORKS: the engine has no network "zz-absent"'
      await expect(openDockerHost({ ...fixture.options, networks: ['zz-absent'] }, signal)).rejects.toThrow(words)
    })
  })

  describe('of another state', () => {
    let folder: string
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'gateway-other-'))
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    test('refuses in one line that says both ways out, and touches nothing', async () => {
      const before = await fixture.host.observe(signal)
      const other = openDockerHost({ ...fixture.options, state: folder }, signal)
      await expect(other).rejects.toThrow(
        `GATEWAY_INSTANCE: "${fixture.instance}" on this engine belongs to the state ${fixture.state}, not to ${folder}: choose another name, or run \`gateway adopt\``,
      )
      expect(await fixture.host.observe(signal)).toEqual(before)
    })

    test('refuses also when the other one came later', async () => {
      const instance = testInstance()
      const early = await openDockerHost({ ...fixture.options, instance, state: folder }, signal)
      const later = await openDockerFixture({ instance })
      try {
        await later.host.prepare(() => {}, signal)
        await later.host.startEdge(signal)
        await expect(early.observe(signal)).rejects.toThrow('belongs to the state')
        await expect(early.startEdge(signal)).rejects.toThrow('belongs to the state')
        await expect(early.down({ volumes: true }, signal)).rejects.toThrow('belongs to the state')
        expect((await later.host.observe(signal)).edge).toMatchObject({ state: 'running' })
      } finally {
        await later.close()
      }
    })

    test('goes on where the operator has adopted it', async () => {
      await writeFile(join(folder, 'adopted'), `${fixture.state}\n`)
      const other = await openDockerHost({ ...fixture.options, state: folder }, signal)
      expect(await other.observe(signal)).toEqual(await fixture.host.observe(signal))
    })
  })

  describe('and its images', () => {
    test('leaves nothing of a build that fails or is ended', async () => {
      const lines = [
        `FROM ${baseImage}`,
        `ENV TRACE=${fixture.instance}`,
        'RUN echo begun',
        'RUN echo slow && sleep 60',
      ]
      const failing = buildInputOf({ Dockerfile: [...lines.slice(0, 3), 'RUN exit 3'].join('\n') })
      await expect(fixture.host.build(requestOf('broken', failing), signal)).rejects.toBeInstanceOf(BuildFailed)
      const ending = new AbortController()
      const log = (line: string) => line === 'slow' && ending.abort(new Error('no longer wanted'))
      const endless = { ...requestOf('endless', buildInputOf({ Dockerfile: lines.join('\n') })), log }
      await expect(fixture.host.build(endless, ending.signal)).rejects.toThrow('no longer wanted')
      const dangling = await Promise.all((await engine.images({}, signal)).map(({ Id }) => engine.image(Id, signal)))
      expect(dangling.filter((image) => JSON.stringify(image).includes(`TRACE=${fixture.instance}`))).toEqual([])
      const containers = await engine.containers(labelsOf({ instance: fixture.instance }), signal)
      expect(containers).toHaveLength(2)
    })

    test('builds from a Dockerfile in a folder, from one in the manifest, and up to a target', async () => {
      const Dockerfile = `FROM ${baseImage} AS first\nARG WORD\nRUN echo $WORD >/word\nFROM first AS second\nRUN echo second >/word\n`
      const args = { WORD: 'said' }
      const inFolder = buildInputOf(
        { 'deep/Dockerfile': Dockerfile },
        { dockerfile: { path: 'deep/Dockerfile' }, args },
      )
      const inManifest = buildInputOf({ 'a.txt': 'a' }, { dockerfile: { inline: Dockerfile }, args })
      const words = []
      for (const { input, entries } of [inFolder, inManifest])
        for (const target of ['first', undefined]) {
          const hash = `${target === undefined ? 'a' : 'b'}${input.hash.slice(1)}`
          const one = { input: { ...input, hash, ...(target === undefined ? {} : { target }) }, entries }
          await fixture.host.build(requestOf('worded', one), signal)
          const generation = generationOf(one, { server: 'worded', command: ['sh', '-c', 'cat /word; sleep 60'] })
          await fixture.host.start(generation, signal)
          const { id } = await find(fixture.host, generation.spec)
          words.push(await shell(id, 'cat /word; ls -A / | grep -c Dockerfile'))
        }
      expect(words).toEqual(['said\n0', 'second\n0', 'said\n0', 'second\n0'])
    })

    test('runs an image by its reference, and says when it cannot be had', async () => {
      const command = ['node', '-e', 'require("http").createServer((_, answer) => answer.end("here")).listen(3000)']
      const generation = generationOf(made, { image: { kind: 'ref', ref: baseImage }, command })
      await fixture.host.start(generation, signal)
      const { upstream = '', context } = await find(fixture.host, generation.spec)
      await expect.poll(() => fixture.fetchFromProxy(upstream).catch(String)).toBe('here')
      expect(context).toBeUndefined()
      const ref = `registry.invalid/none@sha256:${'0'.repeat(64)}`
      const absent = fixture.host.start(generationOf(made, { image: { kind: 'ref', ref } }), signal)
      await expect(absent).rejects.toThrow(`cannot pull image ${ref}: `)
    })

    test('goes on with a container that an interrupted start has left', async () => {
      const generation = generationOf(made)
      const { instance } = fixture
      const name = unitName(instance, 'witness', generation.spec)
      await fixture.host.start(generationOf(made), signal)
      const tag = `${instance}/witness:${made.input.hash.slice(0, 12)}`
      const image = { Id: tag, Config: { User: '', Labels: null } }
      const options = serverContainer(instance, generation, { image, user: '10001:10001', wrapper: undefined })
      await engine.createContainer(name, options, signal)
      expect((await find(fixture.host, generation.spec)).state).toBe('created')
      await fixture.host.start(generation, signal)
      expect(await find(fixture.host, generation.spec)).toMatchObject({ name, state: 'running' })
    })
  })

  describe('in a container', () => {
    test('knows its image, its state and what to hand on', async () => {
      const instance = testInstance()
      const checkout = join(import.meta.dirname, '../..')
      const program = `
        const { openEngine, ownContainer } = await import('/checkout/controller/docker/docker.ts')
        const { runMount, stateIdentity } = await import('/checkout/controller/docker/own.ts')
        const own = await ownContainer(AbortSignal.timeout(10000))
        console.log(JSON.stringify({ id: own.id, image: own.image, state: await stateIdentity(own, '/state'), run: runMount(own, '/state') }))
        try { runMount({ ...own, mounts: own.mounts.filter(({ Destination }) => Destination !== '/state/run') }, '/state') } catch (error) { console.log(error.message) }
        setInterval(() => {}, 1000)`
      const mount = (Type: 'bind' | 'volume', Source: string, Target: string) => ({
        Type,
        Source,
        Target,
        ReadOnly: false,
      })
      const Mounts = [
        mount('bind', checkout, '/checkout'),
        mount('bind', '/var/run/docker.sock', '/var/run/docker.sock'),
        mount('volume', `${instance}-state`, '/state'),
        mount('volume', `${instance}-run`, '/state/run'),
      ]
      for (const volume of ['state', 'run'])
        await engine.createVolume(`${instance}-${volume}`, labelsOf({ instance }), signal)
      const Cmd = ['--input-type=module', '-e', program]
      const HostConfig = { NetworkMode: 'none', Mounts }
      const options = { Image: baseImage, Labels: labelsOf({ instance }), Entrypoint: ['node'], Cmd, HostConfig }
      const container = await engine.createContainer(`${instance}-controller`, options, signal)
      if (container === 'taken') throw new Error('the name is taken')
      try {
        await engine.startContainer(container.id, signal)
        const lines = async () => String(await engine.logs(container.id, 10, signal))
        await expect.poll(lines).toContain('must be a volume of its own')
        const told = (await lines()).slice(8).split('\n')[0] ?? ''
        expect(JSON.parse(told)).toEqual({
          id: container.id,
          image: (await engine.image(baseImage, signal))?.Id,
          state: `${instance}-state`,
          run: { Type: 'volume', Source: `${instance}-run` },
        })
      } finally {
        await removeInstance(instance)
      }
    })
  })
})

describe('a Docker host without an engine', () => {
  const options = {
    instance: testInstance(),
    state: tmpdir(),
    listen: { host: '127.0.0.1', port: 3100 },
    subnets: '10.213.0.0/16',
    networks: [],
    product: { ...made },
  }

  test('says that it is down', async () => {
    const absent = createDockerHost(openEngine('/nowhere/docker.sock'), options, signal)
    await expect(absent).rejects.toThrow(HostDown)
    await expect(absent).rejects.toThrow(
      'no Docker engine answers at /nowhere/docker.sock; start it, or name its socket in DOCKER_HOST',
    )
  })

  test('concludes nothing from an engine that fails', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gateway-engine-'))
    const socketPath = join(folder, 'docker.sock')
    let failing = false
    const broken = createServer((request, answer) => {
      const one = /\/containers\/.+\/json/.test(request.url ?? '')
      if (failing) answer.writeHead(500).end('{"message":"out of order"}')
      else if (one) answer.writeHead(404).end('{"message":"no such container"}')
      else
        answer
          .writeHead(200, { 'content-type': 'application/json' })
          .end(/json|networks/.test(request.url ?? '') ? '[]' : '{}')
    }).listen(socketPath)
    await once(broken, 'listening')
    try {
      const host = await createDockerHost(openEngine(socketPath), options, signal)
      expect((await host.observe(signal)).generations).toEqual([])
      failing = true
      await expect(host.observe(signal)).rejects.toThrow(new HostDown('the Docker engine fails: out of order'))
    } finally {
      broken.closeAllConnections()
      broken.close()
      await rm(folder, { recursive: true })
    }
  })
})
