import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Generation, ObservedGeneration } from '../../controller/host.ts'
import { startChild } from '../../controller/process/child.ts'
import { type Birth, birthOf, isAlive } from '../../controller/process/life.ts'
import { type UnitRecord, UnitTable } from '../../controller/process/table.ts'
import { buildInputOf } from '../support/build-input.ts'
import { openProcessFixture, type ProcessFixture } from '../support/process-fixture.ts'
import { find, generationOf, requestOf, specOf } from '../support/stage.ts'
import { witness } from '../support/witness.ts'
import { hostContract } from './host-contract.ts'

hostContract('process host', () => openProcessFixture())

const signal = new AbortController().signal
const made = buildInputOf(witness)

describe('process host', () => {
  let fixture: ProcessFixture
  beforeEach(async () => {
    fixture = await openProcessFixture({ GATEWAY_TEST_ONLY: 'ours' })
  })
  afterEach(() => fixture.close())

  async function start(of: Partial<Generation> = {}): Promise<ObservedGeneration> {
    await fixture.host.build(requestOf('witness', made), signal)
    const generation = generationOf(made, of)
    await fixture.host.start(generation, signal)
    const unit = await find(fixture.host, generation.spec)
    await expect.poll(() => fixture.fetchFromProxy(`${unit.upstream}`).catch(String)).toBe('here')
    return unit
  }

  function recordOf(name: string): UnitRecord {
    const record = new UnitTable(join(fixture.state, 'units')).read(name)
    if (record === undefined) throw new Error(`no record of ${name}`)
    return record
  }

  async function envOf({ upstream }: ObservedGeneration): Promise<Record<string, string>> {
    return JSON.parse(await fixture.fetchFromProxy(`${upstream}/env`))
  }

  test('adopts what a controller that was killed has started', async () => {
    const { spec, id, upstream } = await startByKilledController()
    expect(await find(fixture.host, spec)).toMatchObject({ state: 'running', upstream })
    expect(await fixture.fetchFromProxy(`${upstream}`)).toBe('here')
    await fixture.host.start(generationOf(made, { spec }), signal)
    expect(await find(fixture.host, spec)).toMatchObject({ id, upstream })
    await fixture.host.stop(id, signal)
    expect(await fixture.host.logs(id, 10, signal)).toContain('SIGTERM seen')
    await expect(fixture.fetchFromProxy(`${upstream}`)).rejects.toThrow()
  })

  test('notices that an adopted one ended, and says that how it ended is not known', async () => {
    const { spec, id, upstream } = await startByKilledController()
    const changed = fixture.host.changes(signal)[Symbol.asyncIterator]().next()
    await fixture.fetchFromProxy(`${upstream}/exit?code=7`).catch(() => {})
    await changed
    const unit = await find(fixture.host, spec)
    expect(unit.state).toBe('exited')
    expect(unit.exitCode).toBeUndefined()
    expect(await fixture.host.logs(id, 10, signal)).toMatch(/listening\n.*exit code is not known/)
  })

  async function startByKilledController(): Promise<ObservedGeneration> {
    const program = join(import.meta.dirname, '../support/earlier-controller.ts')
    const port = new URL(fixture.published).port
    const earlier = spawn(process.execPath, [program, fixture.state, fixture.product, port])
    await once(earlier.stdout, 'data')
    earlier.kill('SIGKILL')
    await once(earlier, 'exit')
    const unit = await find(fixture.host, specOf('earlier'))
    await expect.poll(() => fixture.fetchFromProxy(`${unit.upstream}`).catch(String)).toBe('here')
    return unit
  }

  test('never signals a stranger that has the number of its process', async () => {
    const { id, spec } = await start()
    await fixture.host.stop(id, signal)
    const stranger = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { detached: true })
    const { pid, born } = birthOf(stranger.pid ?? 0)
    try {
      const record = recordOf(id)
      const forged = { ...record, life: { ...record.life, pid, born: `${born}0` } }
      new UnitTable(join(fixture.state, 'units')).write(forged)
      expect((await find(fixture.host, spec)).state).toBe('exited')
      await fixture.host.stop(id, signal)
      await fixture.host.remove(id, signal)
      expect(isAlive({ pid, born })).toBe(true)
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  test('concludes nothing from a record that it cannot read', async () => {
    const { id } = await start()
    const file = join(fixture.state, 'units', id, 'unit.json')
    const record = await readFile(file)
    const ending = new AbortController()
    const changes = fixture.host.changes(ending.signal)[Symbol.asyncIterator]()
    const told = changes.next()
    await writeFile(file, '{"name":')
    await expect(fixture.host.observe(signal)).rejects.toThrow(expect.objectContaining({ name: 'HostDown' }))
    expect(await told).toEqual({ done: false, value: undefined })
    const end = changes.next()
    await writeFile(file, record)
    ending.abort()
    expect((await end).done).toBe(true)
  })

  test('keeps the record, which has secrets in it, to its user', async () => {
    const { id } = await start({ env: { OUTLINE_API_KEY: 'placeholder' } })
    expect((await stat(join(fixture.state, 'units', id, 'unit.json'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(fixture.state, 'units'))).mode & 0o777).toBe(0o700)
  })

  test('ends all that a server has started, however the server ends', async () => {
    const command = ['sh', '-c', 'node -e "setTimeout(() => {}, 300_000)" & echo "child $!"; exec node main.mjs']
    const stopped = await start({ command })
    const crashed = await start({ command })
    const children = await Promise.all([childOf(stopped), childOf(crashed)])
    expect(children.map(isAlive)).toEqual([true, true])
    await fixture.host.stop(stopped.id, signal)
    await fixture.fetchFromProxy(`${crashed.upstream}/exit?code=1`).catch(() => {})
    await expect.poll(() => children.map(isAlive)).toEqual([false, false])
  })

  async function childOf({ id }: ObservedGeneration): Promise<Birth> {
    const log = await fixture.host.logs(id, 10, signal)
    return birthOf(Number(/child (\d+)/.exec(log)?.[1]))
  }

  test('gives a server nothing of its own environment but the path, the language and the time zone', async () => {
    const own = await envOf(await start({ env: { PORT: '1', MINE: 'yes' } }))
    delete own.PWD // a shell's
    delete own.TZ // if there is one
    expect(Object.keys(own).sort()).toEqual(['HOME', 'HOST', 'LANG', 'MINE', 'PATH', 'PORT'])
    expect(own.PORT).not.toBe('1')
    expect(own.HOME).toMatch(fixture.state)
  })

  test('puts real paths where the environment names what is mounted', async () => {
    const offered = join(fixture.state, '..')
    const unit = await start({
      mounts: [
        { kind: 'volume', source: 'data', target: '/data' },
        { kind: 'folder', source: offered, target: '/data/offered' },
      ],
      env: { A: '/data', B: '/data/a/b', C: '/data/offered/x', D: '/database', E: 'in /data' },
    })
    const volume = join(fixture.state, 'volumes', 'test-witness-data')
    expect(await envOf(unit)).toMatchObject({
      A: volume,
      B: join(volume, 'a/b'),
      C: join(offered, 'x'),
      D: '/database',
      E: 'in /data',
    })
  })

  test('runs neither images nor what names no command', async () => {
    await fixture.host.build(requestOf('witness', made), signal)
    const image = { kind: 'ref', ref: 'registry.example/x@sha256:0' } as const
    const { command: _, ...silent } = generationOf(made)
    await expect(fixture.host.start(generationOf(made, { image }), signal)).rejects.toThrow('only Docker can run it')
    await expect(fixture.host.start(silent, signal)).rejects.toThrow('only Docker can run it')
  })

  test('says in the log that a program is not there', async () => {
    await fixture.host.build(requestOf('witness', made), signal)
    const generation = generationOf(made, { command: ['no-such-program'] })
    await fixture.host.start(generation, signal)
    await expect.poll(() => find(fixture.host, generation.spec)).toMatchObject({ exitCode: 127 })
    const { id } = await find(fixture.host, generation.spec)
    expect(await fixture.host.logs(id, 10, signal)).toContain('no-such-program')
  })

  test('cuts a log that has grown too long', async () => {
    const { id } = await start()
    const log = join(fixture.state, 'units', id, 'log')
    const ending = new AbortController()
    const telling = fixture.host.changes(ending.signal)[Symbol.asyncIterator]().next()
    await writeFile(log, 'long\n'.repeat(2_000_000))
    await expect.poll(async () => (await stat(log)).size).toBeLessThan(1_000_000)
    ending.abort()
    await telling
  })
})

describe('a child', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-child-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('never becomes its program if it could not be recorded', async () => {
    let child: Birth | undefined
    const launch = { command: ['touch', 'ran'], folder, env: {}, log: join(folder, 'log') }
    const failing = startChild(launch, (birth) => {
      child = birth
      throw new Error('no space left')
    })
    await expect(failing).rejects.toThrow('no space left')
    await expect.poll(() => child !== undefined && isAlive(child)).toBe(false)
    expect(existsSync(join(folder, 'ran'))).toBe(false)
  })

  test('needs a folder to stand in', async () => {
    const launch = { command: ['true'], folder: join(folder, 'gone'), env: {}, log: join(folder, 'log') }
    await expect(startChild(launch, () => {})).rejects.toThrow(`cannot start a process in ${folder}/gone`)
  })
})
