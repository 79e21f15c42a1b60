import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  BuildFailed,
  type Generation,
  generationKey,
  generationName,
  type Host,
  type ObservedGeneration,
} from '../../controller/host.ts'
import { buildInputOf } from '../support/build-input.ts'
import { clear, crashOf, find, generationOf, requestOf, running, specOf, stuckBefore } from '../support/stage.ts'
import type { StubAnswer } from '../support/stub-product.ts'
import { brokenSource, witness } from '../support/witness.ts'

/** A host on an instance of its own, whose product is `stubProduct`, and the eyes that the contract needs beside it. */
export interface Fixture {
  readonly instance: string
  readonly host: Host
  /** Opens another host on the same instance and state, as a restarted controller does; a `newer` one has another product. */
  reopen(product?: 'same' | 'newer'): Promise<Host>
  /** GETs from where proxies stand: the body of a 2xx answer, else an error. */
  fetchFromProxy(url: string): Promise<string>
  /** Origin at which this machine reaches the published address. */
  readonly published: string
  /** Whether the host can keep a server from writing to a folder that is mounted into it. */
  readonly mountsReadOnly: boolean
  /** Ends and removes everything, and closes every host that it opened. */
  close(): Promise<void>
}

const patient = { timeout: 20_000, interval: 50 }

/** The behaviours that every host must show. `open` is called for a new instance each time. */
export function hostContract(name: string, open: () => Promise<Fixture>): void {
  describe(name, { timeout: 60_000 }, () => {
    let fixture: Fixture
    let host: Host
    const signal = new AbortController().signal
    const made = buildInputOf(witness)

    beforeAll(async () => {
      fixture = await open()
      host = fixture.host
      await makeReady(host)
    })
    afterAll(() => fixture?.close())
    afterEach(() => clear(host))

    async function makeReady(host: Host): Promise<void> {
      await host.prepare(() => {}, signal)
      await host.startEdge(signal)
      await host.startProxy(signal)
      await host.build(requestOf('witness', made), signal)
    }

    async function start(of: Partial<Generation> = {}): Promise<ObservedGeneration & { upstream: string }> {
      const generation = generationOf(made, of)
      await host.start(generation, signal)
      const unit = await find(host, generation.spec)
      const { upstream } = unit
      if (upstream === undefined)
        throw new Error(`${unit.name} has no upstream: ${await host.logs(unit.id, 20, signal)}`)
      await expect.poll(() => fixture.fetchFromProxy(upstream).catch(String), patient).toBe('here')
      return { ...unit, upstream }
    }

    describe('looking', () => {
      test('sees nothing at first', async () => {
        const empty = await open()
        try {
          const { generations, proxies, built } = await empty.host.observe(signal)
          expect({ generations, proxies, built: [...built] }).toEqual({ generations: [], proxies: [], built: [] })
        } finally {
          await empty.close()
        }
      })

      test('says what a running generation is', async () => {
        const unit = await start({ spec: specOf('looked at') })
        expect(unit).toMatchObject({
          name: generationName(fixture.instance, 'witness', specOf('looked at')),
          state: 'running',
          server: 'witness',
          spec: specOf('looked at'),
          context: made.input.hash,
          origin: 'c0ffee',
          restarts: 0,
        })
        expect(unit.startedAt).toBeGreaterThan(0)
      })

      test('sees the same through another host on the same instance', async () => {
        await start()
        const other = await fixture.reopen()
        expect(await other.observe(signal)).toEqual(await host.observe(signal))
        expect(other.wanted).toEqual(host.wanted)
      })

      test('sees a crash: the exit code, or that the host restarted it', async () => {
        const { spec, upstream } = await start()
        await fixture.fetchFromProxy(`${upstream}/exit?code=7`).catch(() => {})
        await expect.poll(async () => crashOf(await find(host, spec)), patient).toBe('crashed')
        const unit = await find(host, spec)
        if (unit.restarts === 0) expect(unit).toMatchObject({ state: 'exited', exitCode: 7 })
        if (unit.state === 'exited') expect(unit.upstream).toBeUndefined()
      })

      test('tells of a kill from outside', async () => {
        const { spec, upstream } = await start()
        const ending = new AbortController()
        const told = (async () => {
          for await (const _ of host.changes(ending.signal))
            if (crashOf(await find(host, spec)) === 'crashed') return 'told'
          return 'ended'
        })()
        await fixture.fetchFromProxy(`${upstream}/kill`).catch(() => {})
        expect(await told).toBe('told')
        ending.abort()
      })
    })

    describe('building', () => {
      test('makes what is named after server and content, and again is nothing', async () => {
        const other = buildInputOf({ ...witness, 'note.txt': 'another' })
        await host.build(requestOf('witness', other), signal)
        await host.build(requestOf('witness', other), signal)
        expect((await host.observe(signal)).built).toContain(generationKey('witness', other.input.hash))
      })

      test('counts for the server that asked, not for another with equal content', async () => {
        expect((await host.observe(signal)).built).not.toContain(generationKey('twin', made.input.hash))
        await host.build(requestOf('twin', made), signal)
        expect((await host.observe(signal)).built).toContain(generationKey('twin', made.input.hash))
      })

      test('fails with the end of its output and leaves nothing', async () => {
        const broken = buildInputOf(brokenSource)
        const lines: string[] = []
        const request = { ...requestOf('broken', broken), log: (line: string) => void lines.push(line) }
        const failure = await host.build(request, signal).catch((error: unknown) => error)
        expect(failure).toBeInstanceOf(BuildFailed)
        expect(failure).toHaveProperty('tail', expect.stringContaining('is not JSON'))
        expect(lines.join('\n')).toContain('is not JSON')
        expect((await host.observe(signal)).built).not.toContain(generationKey('broken', broken.input.hash))
      })

      test('ends when it is no longer wanted, and leaves nothing', async () => {
        const endless = buildInputOf({ ...witness, 'note.txt': 'endless' })
        const ending = new AbortController()
        const request = { ...requestOf('endless', endless), entries: stuckBefore(endless, () => ending.abort()) }
        await expect(host.build(request, ending.signal)).rejects.toThrow()
        expect((await host.observe(signal)).built).not.toContain(generationKey('endless', endless.input.hash))
      })

      test('is undone when its server is forgotten, except where a generation stands on it', async () => {
        const leaving = buildInputOf({ ...witness, 'note.txt': 'leaving' })
        await host.build(requestOf('leaving', leaving), signal)
        await host.build(requestOf('leaving', made), signal)
        await host.start(generationOf(made, { server: 'leaving', spec: specOf('leaving') }), signal)
        await host.forget('leaving', signal)
        const { built } = await host.observe(signal)
        expect(built).not.toContain(generationKey('leaving', leaving.input.hash))
        expect(built).toContain(generationKey('leaving', made.input.hash))
        expect(built).toContain(generationKey('witness', made.input.hash))
      })
    })

    describe('running', () => {
      test('starts a generation once, however often it is asked', async () => {
        const first = await start({ spec: specOf('once') })
        const again = await start({ spec: specOf('once') })
        expect(again).toEqual(first)
        expect((await host.observe(signal)).generations).toHaveLength(1)
      })

      test('runs two generations of a server side by side', async () => {
        const old = await start({ env: { WHO: 'old' } })
        const young = await start({ env: { WHO: 'young' } })
        expect(await envOf(old.upstream)).toMatchObject({ WHO: 'old' })
        expect(await envOf(young.upstream)).toMatchObject({ WHO: 'young' })
      })

      test('hands on the environment with PORT and HOST', async () => {
        const { upstream } = await start({ env: { PLAIN: 'yes', QUOTED: `"a" 'b' $HOME\nsecond line`, EMPTY: '' } })
        const env = await envOf(upstream)
        expect(env).toMatchObject({ PLAIN: 'yes', QUOTED: `"a" 'b' $HOME\nsecond line`, EMPTY: '' })
        expect(env).toHaveProperty('PORT', expect.stringMatching(/^\d+$/))
        expect(env).toHaveProperty('HOST', expect.stringMatching(/^[\d.]+$/))
      })

      test('does not start what was never built', async () => {
        const unbuilt = buildInputOf({ ...witness, 'note.txt': 'unbuilt' })
        await expect(host.start(generationOf(unbuilt), signal)).rejects.toThrow()
        expect(await running(host)).toEqual([])
      })

      test('keeps what a server prints, also after it ended', async () => {
        const { id, spec, upstream } = await start()
        await expect.poll(() => host.logs(id, 10, signal), patient).toContain('listening')
        await fixture.fetchFromProxy(`${upstream}/exit?code=0`).catch(() => {})
        await expect.poll(async () => crashOf(await find(host, spec)), patient).toBe('crashed')
        expect(await host.logs(id, 10, signal)).toContain('listening')
      })

      test('keeps why a server could not start', async () => {
        const generation = generationOf(made, { command: ['node', 'absent.mjs'] })
        await host.start(generation, signal)
        const { id } = await find(host, generation.spec)
        await expect.poll(() => host.logs(id, 30, signal), patient).toContain('absent.mjs')
      })

      async function envOf(upstream: string): Promise<unknown> {
        return JSON.parse(await fixture.fetchFromProxy(`${upstream}/env`))
      }
    })

    describe('ending', () => {
      test('says when it ended, and names a server of which only what it stood on is left', async () => {
        await start() // of another server, from the same content
        await host.build(requestOf('going', made), signal)
        const before = Date.now()
        const generation = generationOf(made, { server: 'going' })
        await host.start(generation, signal)
        const unit = await find(host, generation.spec)
        expect(unit.endedAt).toBeUndefined()
        expect((await host.observe(signal)).left).not.toContain('going')
        await host.stop(unit.id, signal)
        const { endedAt = 0 } = await find(host, generation.spec)
        expect(endedAt).toBeGreaterThan(before - 1_000)
        expect(endedAt).toBeLessThan(Date.now() + 1_000)
        await host.remove(unit.id, signal)
        expect((await host.observe(signal)).left).toContain('going')
        await host.forget('going', signal)
        expect((await host.observe(signal)).left).not.toContain('going')
      })

      test('asks a server to end and keeps it to be resumed', async () => {
        const { id, spec, upstream } = await start()
        await host.stop(id, signal)
        expect(await find(host, spec)).toMatchObject({ id, state: 'exited', exitCode: 0 })
        expect(await host.logs(id, 10, signal)).toContain('SIGTERM seen')
        await expect(fixture.fetchFromProxy(upstream)).rejects.toThrow()
        await host.resume(id, signal)
        expect((await start({ spec })).id).toBe(id)
      })

      test('starts what has ended again, also for a later commit', async () => {
        const { id, spec } = await start({ env: { WHO: 'kept' } })
        await host.stop(id, signal)
        expect(await start({ spec, env: { WHO: 'kept' }, origin: 'decade' })).toMatchObject({ id, spec })
      })

      test('stops waiting when told to, and kills what does not end by itself', async () => {
        const { id, spec } = await start({ env: { STUBBORN: '1' } })
        const ending = new AbortController()
        const stopping = host.stop(id, ending.signal)
        await expect.poll(() => host.logs(id, 10, signal), patient).toContain('SIGTERM seen')
        ending.abort()
        await expect(stopping).rejects.toThrow()
        await host.stop(id, signal)
        expect((await find(host, spec)).state).toBe('exited')
      })

      test('removes what has stopped, and what is gone is fine', async () => {
        const { id, spec } = await start()
        await host.stop(id, signal)
        await host.stop(id, signal)
        await host.remove(id, signal)
        expect((await host.observe(signal)).generations.map((unit) => unit.spec)).not.toContain(spec)
        await host.stop(id, signal)
        await host.remove(id, signal)
      })

      test('starts under the same name again after a removal', async () => {
        const { id, spec, name } = await start()
        await host.stop(id, signal)
        await host.remove(id, signal)
        expect((await start({ spec })).name).toBe(name)
      })

      test('looks, builds and starts nothing for who has left', async () => {
        const left = AbortSignal.abort(new Error('left'))
        const unbuilt = buildInputOf({ ...witness, 'note.txt': 'left' })
        await expect(host.observe(left)).rejects.toThrow()
        await expect(host.build(requestOf('witness', unbuilt), left)).rejects.toThrow()
        await expect(host.start(generationOf(made), left)).rejects.toThrow()
        expect(await running(host)).toEqual([])
        for await (const _ of host.changes(left)) expect.unreachable('a change after the end')
      })

      test('ends its telling of changes with the signal', async () => {
        const ending = new AbortController()
        const told = (async () => {
          for await (const _ of host.changes(ending.signal)) await host.observe(signal)
          return 'ended'
        })()
        await start()
        ending.abort()
        expect(await told).toBe('ended')
      })
    })

    describe('data', () => {
      test('keeps a volume across a replacement', async () => {
        const data = { mounts: [{ kind: 'volume', source: 'data', target: '/data' }], env: { DATA: '/data' } } as const
        const old = await start(data)
        expect(await fixture.fetchFromProxy(`${old.upstream}/write?in=DATA&text=kept`)).toBe('written')
        await host.stop(old.id, signal)
        await host.remove(old.id, signal)
        const young = await start(data)
        expect(await fixture.fetchFromProxy(`${young.upstream}/read?in=DATA`)).toBe('kept')
      })

      describe('of the machine', () => {
        let folder: string
        const shown = () => ({
          mounts: [{ kind: 'folder', source: folder, target: '/offered' }] as const,
          env: { OFFERED: '/offered' },
        })

        beforeAll(async () => {
          folder = await mkdtemp(join(tmpdir(), 'gateway-mount-'))
          await chmod(folder, 0o755)
          await writeFile(join(folder, 'note'), 'offered', { mode: 0o644 })
        })
        afterAll(() => rm(folder, { recursive: true, force: true }))

        test('is shown to a server, read-only where the host can', async () => {
          const { upstream } = await start(shown())
          expect(await fixture.fetchFromProxy(`${upstream}/read?in=OFFERED`)).toBe('offered')
          if (!fixture.mountsReadOnly) return
          expect(await fixture.fetchFromProxy(`${upstream}/write?in=OFFERED&text=spoilt`)).toBe('EROFS')
        })

        test('is never made where it is absent', async () => {
          const absent = join(folder, 'absent')
          const mounts = [{ kind: 'folder', source: absent, target: '/offered' }] as const
          await expect(host.start(generationOf(made, { mounts }), signal)).rejects.toThrow(absent)
          expect(await running(host)).toEqual([])
          expect(existsSync(absent)).toBe(false)
        })
      })
    })

    describe('edge and proxy', () => {
      test('stand at the wanted address, once', async () => {
        await host.startEdge(signal)
        await host.startProxy(signal)
        const { edge, proxies } = await host.observe(signal)
        expect(edge).toMatchObject({ state: 'running', address: host.wanted.address })
        expect(proxies).toMatchObject([{ state: 'running', spec: host.wanted.proxy }])
      })

      test('answer at the published address, with what a proxy needs in its environment', async () => {
        await expect.poll(() => askProxy().catch(String), patient).toMatchObject({ version: 'one' })
        const [proxy] = (await host.observe(signal)).proxies
        expect((await askProxy()).env).toMatchObject({
          GATEWAY_PROXY_NAME: proxy?.name,
          GATEWAY_PROXY_LISTEN: expect.stringMatching(/:\d+$/),
          GATEWAY_TABLE_SOCKET: expect.stringMatching(/\/table\.sock$/),
          GATEWAY_PROXY_STATE: expect.stringMatching(/^\//),
        })
      })

      test('change to a newer proxy beside the old one', async () => {
        const newer = await fixture.reopen('newer')
        expect(newer.wanted.proxy).not.toBe(host.wanted.proxy)
        await newer.prepare(() => {}, signal)
        await newer.startProxy(signal)
        const both = (await host.observe(signal)).proxies
        expect(both.map(({ state }) => state)).toEqual(['running', 'running'])
        await expect.poll(versionOf, patient).toBe('two')
        await expect.poll(versionOf, patient).toBe('one')
        await stopProxy(host.wanted.proxy)
        await expect.poll(versionOf, patient).toBe('two')
        await host.startProxy(signal)
        await expect.poll(versionOf, patient).toBe('one')
        await stopProxy(newer.wanted.proxy)
      })

      async function askProxy(): Promise<StubAnswer> {
        return JSON.parse(await (await fetch(fixture.published)).text())
      }

      function versionOf(): Promise<string> {
        return askProxy().then(({ version }) => version, String)
      }

      async function stopProxy(spec: string): Promise<void> {
        const unit = (await host.observe(signal)).proxies.find((proxy) => proxy.spec === spec)
        if (unit === undefined) throw new Error(`no proxy of spec ${spec}`)
        await host.stop(unit.id, signal)
        await host.remove(unit.id, signal)
      }
    })

    describe('down', () => {
      test('removes everything, but volumes only if asked', async () => {
        const own = await open()
        try {
          expect(await lifeOf(own, 'write?in=DATA&text=kept')).toBe('written')
          await own.host.down({ volumes: false }, signal)
          const { generations, proxies, built } = await own.host.observe(signal)
          expect({ generations, proxies, built: [...built] }).toEqual({ generations: [], proxies: [], built: [] })
          expect(await lifeOf(own, 'read?in=DATA')).toBe('kept')
          await own.host.down({ volumes: true }, signal)
          expect(await lifeOf(own, 'read?in=DATA')).toBe('ENOENT')
        } finally {
          await own.close()
        }
      })

      /** Brings an instance up with one server that has a volume, and asks that server once. */
      async function lifeOf({ host, fetchFromProxy }: Fixture, path: string): Promise<string> {
        await makeReady(host)
        const mounts = [{ kind: 'volume', source: 'data', target: '/data' }] as const
        const generation = generationOf(made, { mounts, env: { DATA: '/data' } })
        await host.start(generation, signal)
        const { upstream } = await find(host, generation.spec)
        await expect.poll(() => fetchFromProxy(`${upstream}/`).catch(String), patient).toBe('here')
        return fetchFromProxy(`${upstream}/${path}`)
      }
    })
  })
}
