import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Generation } from '../../controller/host.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { fetchIn, runIn } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import { clear, find, generationOf, requestOf } from '../support/stage.ts'
import { witness } from '../support/witness.ts'

vi.setConfig({ testTimeout: 60_000 })

const signal = new AbortController().signal
const asNode = {
  ...witness,
  Dockerfile: `FROM ${baseImage}\nRUN mkdir /data && chown 1000 /data && echo a >/data/seed\nWORKDIR /srv\nCOPY . .\nUSER node\n`,
}

suite('a container of a server', ['docker'], () => {
  const rootImage = buildInputOf(witness)
  const nodeImage = buildInputOf(asNode)
  let fixture: DockerFixture

  beforeAll(async () => {
    fixture = await openDockerFixture()
    const { host } = fixture
    await host.prepare(() => {}, signal)
    await host.startEdge(signal)
    await host.startProxy(signal)
    for (const made of [rootImage, nodeImage])
      for (const server of ['witness', 'other']) await host.build(requestOf(server, made), signal)
  })
  afterAll(() => fixture?.close())
  afterEach(() => clear(fixture.host))

  /** Starts a generation, waits until it answers, and gives its id, for programs to run in. */
  async function start(of: Partial<Generation> = {}, made = rootImage): Promise<{ id: string; upstream: string }> {
    const generation = generationOf(made, of)
    await fixture.host.start(generation, signal)
    const { id, upstream = '' } = await find(fixture.host, generation.spec)
    await expect.poll(() => fixture.fetchFromProxy(upstream).catch(String)).toBe('here')
    return { id, upstream }
  }

  async function shell(id: string, script: string): Promise<string> {
    return (await runIn(id, ['sh', '-c', script])).output.trim()
  }

  test('has no capability, cannot gain one, and is filtered', async () => {
    const { id } = await start()
    const status = await shell(id, 'cat /proc/1/status /proc/self/status')
    expect(status.match(/^Cap(Eff|Prm|Bnd|Inh|Amb):\t(?!0{16}$).*/gm)).toBeNull()
    expect(status.match(/^NoNewPrivs:\t1$/gm)).toHaveLength(2)
    expect(status.match(/^Seccomp:\t2$/gm)).toHaveLength(2)
  })

  test.each([
    ['10001 where its image says root', {}, rootImage, '10001:10001'],
    ['the user of its image', {}, nodeImage, '1000:1000'],
    ['the user that its manifest names', { user: '4711' }, nodeImage, '4711:0'],
    ['root only where its manifest says so', { user: '0' }, nodeImage, '0:0'],
  ])('runs as %s', async (_, of, made, user) => {
    const { id } = await start(of, made)
    expect(await shell(id, 'echo $(id -u):$(id -g)')).toBe(user)
  })

  test('may write to its tmpfs, which is its home, and nowhere else', async () => {
    const { id } = await start({ user: '0', tmpfs: ['/tmp', '/cache'] })
    expect(await shell(id, 'echo $HOME; echo a >/tmp/a && echo a >/cache/a && cat /tmp/a /cache/a')).toBe('/tmp\na\na')
    for (const path of ['/srv/a', '/etc/a', '/a', '/var/lib/a'])
      expect(await shell(id, `echo a >${path}`)).toContain('Read-only file system')
    expect(await shell(id, 'cp /bin/true /tmp/true && /tmp/true')).toContain('Permission denied')
    expect(await shell(id, 'head -c 200M /dev/zero >/tmp/much')).toContain('No space left')
  })

  test('ends at its limits', async () => {
    const { id } = await start({ limits: { memory: 64 * 1024 * 1024, cpus: 0.5, pids: 40 } })
    const read = (old: string, current: string) =>
      shell(id, `cd /sys/fs/cgroup; cat ${old} 2>/dev/null || cat ${current}`)
    expect(await read('memory/memory.limit_in_bytes', 'memory.max')).toBe(String(64 * 1024 * 1024))
    expect(await read('pids/pids.max', 'pids.max')).toBe('40')
    expect(await read('cpu/cpu.cfs_quota_us', 'cpu.max')).toMatch(/^50000/)
    expect(await shell(id, 'for i in $(seq 60); do sleep 5 & done; wait')).toMatch(/fork/i)
  })

  test('has an init above it', async () => {
    const { id } = await start()
    expect(await shell(id, 'cat /proc/1/comm')).toMatch(/init/)
  })

  test('owns a new volume, and one that begins with what the image has there', async () => {
    const mounts = [
      { kind: 'volume', source: 'fresh', target: '/fresh' },
      { kind: 'volume', source: 'data', target: '/data' },
    ] as const
    const { id } = await start({ mounts }, nodeImage)
    expect(await shell(id, 'echo a >/fresh/a && echo b >/data/b && cat /fresh/a /data/b /data/seed')).toBe('a\nb\na')
    const other = await start({ mounts: [{ kind: 'volume', source: 'plain', target: '/plain/deep' }] })
    expect(await shell(other.id, 'stat -c %u:%g /plain/deep; echo a >/plain/deep/a && cat /plain/deep/a')).toBe(
      '10001:10001\na',
    )
  })

  test('keeps what it made of its volume', async () => {
    const mounts = [{ kind: 'volume', source: 'private', target: '/private' }] as const
    const first = await start({ mounts })
    await shell(first.id, 'chmod 700 /private')
    const second = await start({ mounts })
    expect(await shell(second.id, 'stat -c %u:%a /private')).toBe('10001:700')
  })

  test('has user namespaces only with the profile for Chromium, and no mounts even then', async () => {
    const plain = await start()
    const chromium = await start({ seccomp: 'chromium' })
    const inside = 'unshare --user --map-root-user --net --pid --fork chroot / id -u'
    expect(await shell(plain.id, inside)).toContain('Operation not permitted')
    expect(await shell(chromium.id, inside)).toBe('0')
    const mounting = 'unshare --user --map-root-user --mount sh -c "mount -t tmpfs none /tmp && echo mounted"'
    expect(await shell(chromium.id, mounting)).not.toContain('mounted')
    expect(await shell(chromium.id, 'cat /proc/1/status')).toMatch(/^CapEff:\t0{16}$/m)
  })

  test('gets the files of the commit with their modes, although the Dockerfile is in .dockerignore', async () => {
    const made = buildInputOf({
      ...witness,
      '.dockerignore': 'Dockerfile\n.dockerignore\n',
      'bin/deep/run': { mode: '100755', body: '#!/bin/sh\necho ran\n' },
      'bin/link': { mode: '120000', body: 'deep/run' },
    })
    await fixture.host.build(requestOf('witness', made), signal)
    const { id } = await start({}, made)
    expect(await shell(id, '/srv/bin/link; cd /srv; stat -c "%n %a %u %Y" main.mjs bin bin/deep bin/deep/run')).toBe(
      'ran\nmain.mjs 644 0 0\nbin 755 0 0\nbin/deep 755 0 0\nbin/deep/run 755 0 0',
    )
  })

  suite('on its networks', ['docker'], () => {
    const open = createServer((_, answer) => answer.end('the machine'))
    let port = 0
    beforeAll(async () => {
      await new Promise<void>((listening) => open.listen(0, '0.0.0.0', listening))
      const address = open.address()
      if (address !== null && typeof address !== 'string') port = address.port
    })
    afterAll(() => new Promise((closed) => open.close(closed)))

    /** Every address at which the machine could be met. */
    const machine = () =>
      Object.values(networkInterfaces()).flatMap((all) =>
        (all ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address),
      )

    /** Which of the addresses answer as our own do, asked from inside a container. What lies around the machine may answer for any address. */
    async function reached(id: string, urls: readonly string[]): Promise<unknown> {
      const program = `const urls = ${JSON.stringify(urls)}
        const ask = (url) => fetch(url, { signal: AbortSignal.timeout(3000) }).then((answer) => answer.text())
        Promise.allSettled(urls.map(ask)).then((all) =>
          console.log(JSON.stringify(urls.filter((_, at) => ['here', 'the machine'].includes(all[at].value)))))`
      return JSON.parse((await runIn(id, ['node', '-e', program])).output)
    }

    test('leaves them with egress, through a bridge of its own', async () => {
      const { id } = await start()
      const gateway = await shell(
        id,
        `node -e '
        const row = require("fs").readFileSync("/proc/net/route", "utf8").split("\\n").map((line) => line.split("\\t")).find((row) => row[1] === "00000000")
        console.log(row[2].match(/../g).reverse().map((hex) => parseInt(hex, 16)).join("."))'`,
      )
      expect(await fetchIn(id, `http://${gateway}:${port}`)).toBe('the machine')
    })

    test('reaches without egress neither the machine nor a name, but is reached', async () => {
      const { id, upstream } = await start({ egress: false })
      expect(machine().length).toBeGreaterThan(1)
      const own = await shell(id, 'hostname -i')
      const bridge = own.replace(/\d+$/, (last) => String((Number(last) & ~15) + 1))
      const urls = [...machine(), bridge].map((address) => `http://${address}:${port}`)
      expect(await reached(id, urls)).toEqual([])
      await expect(fetchIn(id, 'http://example.org')).rejects.toThrow(/GET/)
      expect(await fixture.fetchFromProxy(upstream)).toBe('here')
    })

    test('does not meet another server, whatever both may reach', async () => {
      const one = await start()
      const two = await start({ server: 'other' })
      const addresses = (await shell(two.id, 'hostname -I')).split(' ')
      expect(addresses).toHaveLength(2)
      const urls = addresses.map((address) => `http://${address}:3000`)
      expect(await reached(one.id, [...urls, two.upstream])).toEqual([])
      expect(await reached(two.id, urls)).toEqual(urls)
      expect(await fixture.fetchFromProxy(two.upstream)).toBe('here')
    })

    test('is met by name as soon as it runs, and not any more once it is forgotten', async () => {
      const { id, upstream } = await start({ server: 'other', egress: false })
      const others = (await fixture.host.observe(signal)).generations.filter(({ server }) => server === 'other')
      for (const unit of others) {
        await fixture.host.stop(unit.id, signal)
        await fixture.host.remove(unit.id, signal)
      }
      expect(others.map((unit) => unit.id)).toContain(id)
      await fixture.host.forget('other', signal)
      await expect(fixture.fetchFromProxy(upstream)).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/)
    })
  })
})
