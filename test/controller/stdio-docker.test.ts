import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import type { Generation, Host } from '../../controller/host.ts'
import { wrapperFiles, wrapperHash } from '../../controller/stdio.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { runIn } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import { productOfCheckout } from '../support/product.ts'
import { clear, find, generationOf, requestOf } from '../support/stage.ts'
import { initialize } from '../support/stdio.ts'
import { until } from '../support/until.ts'

const signal = new AbortController().signal
const stdio = { sessions: 2, idle: 600_000, path: '/mcp', secrets: ['SECRET'] }

/** An image with nothing but a program: no shell, no accounts, no folder to write to, and variables that would stop ours. */
const bare = `FROM ${baseImage} AS made
RUN mkdir /made && cd /made && for file in $(command -v node) $(ldd "$(command -v node)" | grep -o '/[^ ]*'); do \\
  mkdir -p ".$(dirname "$file")" && cp -L "$file" ".$file"; done
COPY program.ts meddle.cjs /made/app/
FROM scratch
COPY --from=made /made /
ENV NODE_OPTIONS="--require=/app/meddle.cjs" LD_LIBRARY_PATH=/app
ENTRYPOINT ["node", "/app/program.ts"]
CMD ["--banner"]
`
const meddle = `if (process.argv[1].startsWith('/.gateway')) process.exit(9)\n`

suite('stdio servers on the Docker engine', ['docker', 'product'], () => {
  let fixture: DockerFixture
  let host: Host
  let input: ReturnType<typeof buildInputOf>
  const engine = openEngine()

  beforeAll(async () => {
    const program = await readFile(new URL('../support/odd-program.ts', import.meta.url), 'utf8')
    input = buildInputOf({ 'program.ts': program, 'meddle.cjs': meddle, Dockerfile: bare })
    fixture = await openDockerFixture({ product: await productOfCheckout() })
    host = fixture.host
    await host.prepare(() => {}, signal)
    await host.startEdge(signal)
    await host.startProxy(signal)
    for (const server of ['odd', 'other']) await host.build(requestOf(server, input), signal)
  }, 300_000)
  afterEach(() => clear(host), 60_000)
  afterAll(() => fixture?.close())

  const volumes = async () =>
    (await engine.volumes(labelsOf({ instance: fixture.instance }), signal)).filter((name) => name.includes('-stdio-'))

  async function start(of: Partial<Generation> = {}) {
    const { command: _, ...generation } = generationOf(input, { server: 'odd', stdio, ...of })
    await host.start({ ...generation, ...(of.command && { command: of.command }) }, signal)
    const unit = await find(host, generation.spec)
    await until('the wrapper listens', async () => (await host.logs(unit.id, 50, signal)).includes('serving '))
    return { ...unit, session: await openSession(`${unit.upstream}/mcp`) }
  }

  /** Asks from where proxies stand. */
  async function ask(url: string, headers: object, body: object) {
    const asked = JSON.stringify({
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    const program = `fetch(${JSON.stringify(url)}, ${asked}).then(async (answer) =>
      console.log(JSON.stringify({ id: answer.headers.get('mcp-session-id'), text: await answer.text() })))`
    const [proxy] = (await host.observe(signal)).proxies
    const { output } = await runIn(proxy?.id ?? '', ['node', '-e', program])
    return z.object({ id: z.string().nullable(), text: z.string() }).parse(JSON.parse(output))
  }

  async function openSession(endpoint: string) {
    const { id, text } = await ask(endpoint, {}, initialize())
    if (id === null) throw new Error(text)
    return {
      call: async (name: string, args: object = {}): Promise<string> => {
        const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }
        return JSON.parse((await ask(endpoint, { 'mcp-session-id': id }, message)).text).result.content[0].text
      },
    }
  }

  test('are served in an image that has nothing, read-only and without any right', async () => {
    const { session, id } = await start({ env: { SECRET: 'open sesame', A: 'a' } })
    expect(await session.call('echo', { value: 'grüße' })).toBe('grüße')
    const status = await session.call('reads', { path: '/proc/self/status' })
    expect(status).toMatch(/CapEff:\t0+\n/)
    expect(status).toMatch(/NoNewPrivs:\t1\n/)
    expect(status).toMatch(/Uid:\t10001\t/)
    for (const path of ['/.gateway/main.ts', '/app/x', '/x'])
      expect(await session.call('writes', { path })).toMatch(/EROFS|EACCES/)
    expect(await session.call('writes', { path: '/tmp/x' })).toBe('written')
    const env = JSON.parse(await session.call('env'))
    expect(env).toMatchObject({
      A: 'a',
      SECRET: 'open sesame',
      HOME: '/tmp',
      NODE_OPTIONS: '--require=/app/meddle.cjs',
    })
    expect(env).not.toHaveProperty('PORT')
    expect(await host.logs(id, 50, signal)).toContain('Welcome to the program!')
  })

  test('have the image’s own entrypoint before the command of their manifest', async () => {
    const { session, id } = await start({ command: ['--stubborn'] })
    expect(await session.call('reads', { path: '/proc/self/cmdline' })).toBe('node\0/app/program.ts\0--stubborn\0')
    expect(await host.logs(id, 50, signal)).not.toContain('Welcome')
    const began = Date.now()
    await host.stop(id, signal)
    expect(Date.now() - began).toBeLessThan(9_500)
    expect(await host.observe(signal)).toMatchObject({ generations: [{ state: 'exited', exitCode: 0 }] })
  })

  test('share one volume, which is no server’s and goes when its version does', async () => {
    const name = `${fixture.instance}-stdio-${(await wrapperHash()).slice(0, 12)}`
    await start()
    const old = `${fixture.instance}-stdio-0123456789ab`
    await engine.createVolume(old, labelsOf({ instance: fixture.instance }), signal)
    await start({ server: 'other' })
    expect((await volumes()).toSorted()).toEqual([name, old].toSorted())
    await host.collect({ most: 9, wanted: new Set() }, signal)
    expect(await volumes()).toEqual([name])
  })

  test('are served although an earlier copy of the wrapper was cut off', async () => {
    const name = `${fixture.instance}-stdio-${(await wrapperHash()).slice(0, 12)}`
    if ((await volumes()).includes(name)) await engine.removeVolume(name, signal)
    await engine.createVolume(name, labelsOf({ instance: fixture.instance }), signal)
    const Mounts = [{ Type: 'volume', Source: name, Target: '/half', ReadOnly: false } as const]
    const options = {
      Image: baseImage,
      Labels: labelsOf({ instance: fixture.instance }),
      HostConfig: { NetworkMode: 'none', Mounts },
    }
    const made = await engine.createContainer(`${fixture.instance}-half`, options, signal)
    if (made === 'taken') throw new Error('taken')
    const tar = pack()
    tar.entry({ name: 'ld.so' }, 'half')
    tar.finalize()
    await engine.upload(made.id, '/half', Readable.from(tar, { objectMode: false }), signal)
    await engine.removeContainer(made.id, 'even running', signal)
    const { session } = await start()
    expect(await session.call('echo', { value: 'whole' })).toBe('whole')
  })

  test('start from the sources of this controller', async () => {
    const { session } = await start()
    for (const { path, body } of await wrapperFiles())
      expect(await session.call('reads', { path: `/.gateway/${path}` })).toBe(body.toString())
  })

  test('are refused where there is no program to run', async () => {
    const empty = buildInputOf({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' })
    await host.build(requestOf('empty', empty), signal)
    const { command: _, ...generation } = generationOf(empty, { server: 'empty', stdio })
    await expect(host.start(generation, signal)).rejects.toThrow(
      'its image names no program to run, and its manifest no command',
    )
  })

  test('leave no wrapper when everything is taken down, and their data all the same', async () => {
    const data = `${fixture.instance}-odd-data`
    await start({ mounts: [{ kind: 'volume', source: 'data', target: '/data' }] })
    await host.down({ volumes: false }, signal)
    expect(await engine.volumes(labelsOf({ instance: fixture.instance }), signal)).toContain(data)
    expect(await volumes()).toEqual([])
  })
})
