import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BuildFailed, HostDown } from '../../controller/host.ts'
import { buildInputOf, type MadeInput } from '../support/build-input.ts'
import { openPackageShelf, type PackageShelf } from '../support/package-shelf.ts'
import { openProcessFixture, type ProcessFixture } from '../support/process-fixture.ts'
import { find, generationOf, requestOf } from '../support/stage.ts'
import { witness } from '../support/witness.ts'

const signal = new AbortController().signal

describe('a build of the process host', { timeout: 60_000 }, () => {
  let fixture: ProcessFixture
  beforeEach(async () => {
    fixture = await openProcessFixture({ npm_config_fetch_retries: '0' })
  })
  afterEach(() => fixture.close())

  const inState = (...path: readonly string[]) => join(fixture.state, ...path)
  const treeOf = ({ input }: MadeInput) => inState('tree', input.hash.slice(0, 12))
  const leftOvers = async () => [...(await readdir(inState('tree'))), ...(await readdir(inState('modules')))]

  test('unpacks files with their modes, and links that stay inside', async () => {
    const made = buildInputOf({
      Dockerfile: '',
      'bin/run': { mode: '100755', body: '#!/bin/sh\n' },
      'bin/walk': { mode: '120000', body: 'run' },
      'deep/er/up': { mode: '120000', body: '../../bin' },
    })
    await fixture.host.build(requestOf('a', made), signal)
    expect((await stat(join(treeOf(made), 'bin/run'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(treeOf(made), 'Dockerfile'))).mode & 0o777).toBe(0o644)
    expect(await readlink(join(treeOf(made), 'bin/walk'))).toBe('run')
    expect(await readFile(join(treeOf(made), 'deep/er/up/walk'), 'utf8')).toBe('#!/bin/sh\n')
  })

  test.each(['/etc/hostname', '../../outside', '../..'])('fails for a link to %s', async (body) => {
    const made = buildInputOf({ Dockerfile: '', 'a/link': { mode: '120000', body } })
    const failure = await fixture.host.build(requestOf('a', made), signal).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(BuildFailed)
    expect(failure).toHaveProperty('message', `the link a/link → ${body} leads out of the build context`)
    expect(await leftOvers()).toEqual([])
  })

  test('leaves nothing when it is cut off', async () => {
    const made = buildInputOf(witness)
    const cut = async function* () {
      yield* made.entries(signal)
      throw new Error('cut')
    }
    await expect(fixture.host.build({ ...requestOf('a', made), entries: cut }, signal)).rejects.toThrow('cut')
    expect(await leftOvers()).toEqual([])
  })

  test('is swept by the next controller when its own was killed', async () => {
    await mkdir(inState('tree', '.new-half', 'servers'), { recursive: true })
    await mkdir(inState('modules', '.new-half'))
    await fixture.reopen()
    expect(await leftOvers()).toEqual([])
  })

  test('is ended before it is swept where it goes on without its controller', async () => {
    const folder = inState('modules', '.new-half')
    await mkdir(folder)
    // As npm does, it makes one folder after the other.
    const busy = 'for (let at = 0; ; at++) { try { require("node:fs").mkdirSync(String(at)) } catch {} }'
    const child = spawn(process.execPath, ['-e', busy], { cwd: folder, stdio: 'ignore' })
    const ended = once(child, 'exit')
    await expect.poll(() => readdir(folder)).not.toEqual([])
    await fixture.reopen()
    expect(await ended).toEqual([null, 'SIGKILL'])
    expect(await leftOvers()).toEqual([])
  })

  test('is ours to retry where the disk is full', async () => {
    const full = async function* () {
      yield { path: 'Dockerfile', mode: '100644', body: Buffer.from('') }
      await writeFile('/dev/full', 'x')
    }
    const request = { ...requestOf('a', buildInputOf(witness)), entries: full }
    await expect(fixture.host.build(request, signal)).rejects.toThrow(HostDown)
  })

  describe('with a lockfile', () => {
    const open: PackageShelf[] = []
    afterEach(async () => {
      for (const shelf of open.splice(0)) await shelf[Symbol.asyncDispose]()
    })
    async function shelf(answer: Parameters<typeof openPackageShelf>[0]): Promise<PackageShelf> {
      const opened = await openPackageShelf(answer)
      open.push(opened)
      return opened
    }
    const giving = () => shelf((response, tarball) => response.end(tarball))

    function leaning(lock: PackageShelf['lock'], note = ''): MadeInput {
      return buildInputOf(
        {
          'servers/a/Dockerfile': witness.Dockerfile,
          'servers/a/package.json': lock['package.json'],
          'servers/a/package-lock.json': lock['package-lock.json'],
          'servers/a/main.mjs': `import { greet } from '../kit/greet.mjs'\n${note && `// ${note}\n`}greet()\n`,
          'servers/kit/greet.mjs': `import { words } from 'tiny'\nexport const greet = () => console.log(words)\n`,
        },
        { paths: ['servers/a', 'servers/kit'], dockerfile: { path: 'servers/a/Dockerfile' } },
      )
    }

    test('lets the server and what lies beside its folder find what is installed', async () => {
      const made = leaning((await giving()).lock)
      await fixture.host.build(requestOf('a', made), signal)
      const generation = generationOf(made, { server: 'a' })
      await fixture.host.start(generation, signal)
      const { id } = await find(fixture.host, generation.spec)
      await expect.poll(() => fixture.host.logs(id, 10, signal)).toContain('tiny says hello')
      expect((await lstat(join(treeOf(made), 'servers/node_modules'))).isSymbolicLink()).toBe(true)
    })

    test('installs once for all that have the same one, and keeps it as long as one of them is there', async () => {
      const { lock, asked } = await giving()
      await fixture.host.build(requestOf('a', leaning(lock)), signal)
      await fixture.host.build(requestOf('b', leaning(lock, 'another')), signal)
      expect(asked()).toBe(1)
      const modules = await readdir(inState('modules'))
      expect(modules).toHaveLength(1)
      await fixture.host.forget('a', signal)
      expect(await readdir(inState('modules'))).toEqual(modules)
      expect(await readdir(inState('tree'))).toHaveLength(1)
      await fixture.host.forget('b', signal)
      expect(await leftOvers()).toEqual([])
    })

    test('is ours to retry where the registry does not answer', async () => {
      const { lock } = await shelf((response) => response.destroy())
      await expect(fixture.host.build(requestOf('a', leaning(lock)), signal)).rejects.toThrow(HostDown)
      expect(await leftOvers()).toEqual([])
    })

    test('is the fault of its author where the registry has not what it names', async () => {
      const { lock } = await shelf((response) => response.writeHead(404).end())
      await expect(fixture.host.build(requestOf('a', leaning(lock)), signal)).rejects.toThrow(BuildFailed)
    })

    test('says where npm must be on a machine that has none', async () => {
      const { lock } = await giving()
      const bare = await openProcessFixture({ PATH: '/nowhere' })
      const build = bare.host.build(requestOf('a', leaning(lock)), signal)
      await expect(build.finally(() => bare.close())).rejects.toThrow(/^npm cannot be started .*must be on the PATH$/)
    })

    test('ends npm when it is no longer wanted', async () => {
      const ending = new AbortController()
      const hung = Promise.withResolvers<void>()
      const { lock } = await shelf((response) => {
        response.on('close', hung.resolve)
        ending.abort(new Error('superseded'))
      })
      await expect(fixture.host.build(requestOf('a', leaning(lock)), ending.signal)).rejects.toThrow('superseded')
      await hung.promise
      expect(await leftOvers()).toEqual([])
    })
  })
})
