import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { Status } from '#manifests/status.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { takeLease } from '../../controller/lease.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { createFreshClone, type FreshClone, type Started } from '../support/fresh-clone.ts'
import { suite } from '../support/machine.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const long = { timeout: 20 * minutes }
const Listed = z.object({ result: z.object({ tools: z.array(z.object({ name: z.string() })).nonempty() }) })

/** Waits for the end of the welcome, and gives the token that it shows. */
async function welcomed(started: Started): Promise<string> {
  await started.line(/^Ctrl-C stops it\.$/m)
  return await started.line(/^token +(\S+)$/m)
}

/** What the printed line for curl answers, when it is pasted. */
async function toolsByCurl(clone: FreshClone, started: Started): Promise<readonly string[]> {
  const { code, out, err } = await clone.paste(await started.line(/^ {2}(curl .*)$/m))
  expect([code, err]).toEqual([0, ''])
  return Listed.parse(JSON.parse(out)).result.tools.map(({ name }) => name)
}

async function statusOf(started: Started): Promise<Status> {
  const page = await started.line(/^status +(\S+)$/m)
  return Status.parse(await (await fetch(new URL('status', page))).json())
}

/** Pastes the printed push, and waits until the status shows the description that it gave. */
async function pushAsPrinted(clone: FreshClone, started: Started): Promise<void> {
  const before = descriptionIn(await statusOf(started))
  const { code, err } = await clone.paste(await started.line(/^ {2}(\(cd .*)$/m))
  expect([code, err]).toEqual([0, ''])
  const isChanged = (description = '') => description.startsWith('Changed by a push at ') && description !== before
  await until('the description is changed', async () => isChanged(descriptionIn(await statusOf(started))), 5 * minutes)
}

/** Waits until each server is where it stays. */
async function rested(started: Started): Promise<void> {
  const stays: readonly string[] = ['ready', 'waiting', 'stalled']
  const look = async () => (await statusOf(started)).servers.every(({ phase }) => stays.includes(phase))
  await until('nothing is under way', look, 5 * minutes)
}

function descriptionIn({ servers }: Status): string | undefined {
  return servers.find(({ name }) => name === '5etools')?.description
}

suite('npm start in a fresh clone, with processes', ['tools'], () => {
  let clone: FreshClone
  let options: readonly string[]
  let started: Started
  let token: string
  beforeAll(async () => {
    clone = await createFreshClone()
    options = ['--port', String(await freePort())]
    started = clone.start(['--runtime', 'process', ...options])
    token = await welcomed(started)
  }, 20 * minutes)
  afterAll(() => clone?.[Symbol.asyncDispose](), minutes)

  test('installs what it lacks, and says what it runs in', () => {
    expect(started.output()).toContain('installing the npm packages of this checkout …\nruntime: process, as asked\n')
    expect(started.output()).toContain('No sandbox: ')
  })

  test('answers the printed curl', async () => {
    expect(await toolsByCurl(clone, started)).toContain('_5etools__search')
  })

  test('takes the printed push, as often as it is pasted', long, async () => {
    await pushAsPrinted(clone, started)
    await pushAsPrinted(clone, started)
  })

  test('names what cannot run here, and why', () => {
    expect(started.output()).toMatch(/^ {2}mermaid +it needs chromium-headless-shell, which is not on the PATH$/m)
    expect(started.output()).toMatch(/^ {2}infographic +it needs chromium-headless-shell, which is not on the PATH$/m)
    expect(started.output()).toMatch(/^ {2}midjourney +MIDJOURNEY_API_KEY is not in the secrets file/m)
    expect(started.output()).toMatch(/^ {2}outline +OUTLINE_API_KEY is not in the secrets file/m)
    expect(started.output()).toMatch(/^ {2}personal +this machine offers no folder named personal \(GATEWAY_MOUNTS\)$/m)
  })

  test('prints what an MCP client takes', async () => {
    const { mcpServers } = JSON.parse(await started.line(/^ {2}(\{"mcpServers".*)$/m))
    const url = await started.line(/^endpoint +(\S+)$/m)
    expect(mcpServers.gateway).toEqual({ type: 'http', url, headers: { Authorization: `Bearer ${token}` } })
  })

  test.each([
    [['status'], /^5etools +ready +8 tools/m],
    [['history'], /degraded {2}[\w, ]*\boutline\b[\w, ]* are not as the commit says$/m],
    [['validate'], /^valid: \d+ servers, 0 agents$/m],
    [['plan', '--base', 'HEAD'], /^0 to build, 0 to replace, 0 to remove$/m],
    [['token', 'new', 'agent-x'], /^cgw_\S{43}$/m],
  ])('answers npx gateway %j', long, async (verb, answer) => {
    await rested(started)
    const { code, out, err } = await clone.gateway(...verb)
    expect([code, out + err]).toEqual([0, expect.stringMatching(answer)])
  })

  test('refuses to run twice, in one line', long, async () => {
    const second = clone.start(options)
    expect(await second.line(/^gateway: (.*)$/m)).toBe(
      `a controller runs in ${join(clone.folder, '.gateway')} already; --state DIR and --port N start another`,
    )
    expect(await second.ended).toBe(1)
  })

  test('leaves nothing running on Ctrl-C', long, async () => {
    expect(await started.signal('SIGINT')).toBe(0)
    expect(clone.processes()).toEqual([])
    expect(started.output()).toMatch(/\nstopping …\n$/)
  })

  test('waits for no other start that has just begun, or still ends', long, async () => {
    using _other = takeLease(join(clone.folder, '.gateway/start.db'))
    const refused = clone.start(options)
    expect(await refused.line(/^gateway: (.*)$/m)).toMatch(
      /^another start begins or ends in .*\/\.gateway just now; --state/,
    )
    expect(await refused.ended).toBe(1)
  })

  test('says why it chose a runtime, and has the same token at the next start', long, async () => {
    started = clone.start(options, { DOCKER_HOST: `unix://${clone.folder}/no.sock` })
    expect(await welcomed(started)).toBe(token)
    expect(await started.line(/^runtime: (.*)$/m)).toMatch(/^process, no Docker engine/)
    expect(started.output()).not.toContain('installing')
    expect(await toolsByCurl(clone, started)).toContain('_5etools__search')
  })

  test('takes over what it left when it was killed', long, async () => {
    await rested(started)
    await started.signal('SIGKILL')
    const left = clone.processes()
    expect(left.length).toBeGreaterThanOrEqual(['proxy', '5etools', 'chart'].length)
    started = clone.start(['--runtime', 'process', ...options])
    await welcomed(started)
    expect(clone.processes()).toEqual(expect.arrayContaining([...left]))
  })

  test('tells who has it taken down while it runs', long, async () => {
    expect(await clone.gateway('down')).toMatchObject({ code: 0, out: 'all that this gateway ran is gone\n' })
    const reason = 'taken down; the next start of the controller runs it again'
    expect(await started.line(/^host {2}(.*)$/m)).toBe(reason)
    expect((await clone.gateway('status')).out).toContain(`host  ${reason}\n`)
    expect(await clone.gateway('reconcile', '--wait')).toMatchObject({ code: 1, err: `gateway: ${reason}\n` })
    expect(await started.signal('SIGINT')).toBe(0)
    started = clone.start(['--runtime', 'process', ...options])
    expect(await welcomed(started)).toBe(token)
  })

  test('leaves nothing running when its terminal is closed', long, async () => {
    await started.signal('SIGHUP')
    expect(clone.processes()).toEqual([])
  })

  test('is cleaned up behind by npx gateway down', long, async () => {
    started = clone.start(['--runtime', 'process', ...options])
    await welcomed(started)
    await started.signal('SIGKILL')
    expect(await clone.gateway('down')).toEqual({ code: 0, out: 'all that this gateway ran is gone\n', err: '' })
    expect(clone.processes()).toEqual([])
  })
})

suite('npm start in a fresh clone, with Docker', ['docker', 'product', 'tools'], () => {
  const instance = testInstance()
  const engine = openEngine()
  const signal = () => AbortSignal.timeout(minutes)
  let clone: FreshClone
  let options: readonly string[]
  let started: Started
  let token: string
  beforeAll(async () => {
    clone = await createFreshClone()
    options = ['--port', String(await freePort())]
    started = clone.start(options, { GATEWAY_INSTANCE: instance })
    token = await welcomed(started)
  }, 20 * minutes)
  afterAll(async () => {
    await clone?.[Symbol.asyncDispose]()
    await removeInstance(instance)
  }, 5 * minutes)

  /** Ids of the containers, by role or server. */
  async function containers(state: 'running' | 'exited'): Promise<Record<string, string>> {
    const all = await engine.containers(labelsOf({ instance }), signal())
    const found = all.filter(({ State }) => State.Status === state)
    return Object.fromEntries(
      found.map(({ Id, Config: { Labels } }) => [
        mark(Labels, mark(Labels, 'role') === 'server' ? 'server' : 'role') ?? '',
        Id,
      ]),
    )
  }

  test('chooses Docker where an engine answers, and says so', async () => {
    expect(await started.line(/^runtime: (.*)$/m)).toMatch(/^docker, an engine answers, and has node:24-bookworm-slim$/)
  })

  test('runs edge and proxy from one image, which is built of HEAD', async () => {
    const all = await engine.containers(labelsOf({ instance }), signal())
    const images = all.filter(({ Config }) => mark(Config.Labels, 'role') !== 'server').map(({ Image }) => Image)
    const made = await engine.images(labelsOf({ instance }), signal())
    const built = made.filter(({ RepoTags }) => RepoTags?.some((tag) => tag.startsWith(`${instance}/gateway:`)))
    expect([...new Set(images)]).toEqual(built.map(({ Id }) => Id))
  })

  test('answers the printed curl, and takes the printed push', long, async () => {
    expect(await toolsByCurl(clone, started)).toContain('_5etools__search')
    await pushAsPrinted(clone, started)
  })

  let kept: Record<string, string>
  test('stops on Ctrl-C what it runs, and keeps it', long, async () => {
    kept = await containers('running')
    expect(kept).toMatchObject({ edge: expect.anything(), proxy: expect.anything(), '5etools': expect.anything() })
    expect(await started.signal('SIGINT')).toBe(0)
    expect(clone.processes()).toEqual([])
    expect(await containers('running')).toEqual({})
    expect(await containers('exited')).toMatchObject(kept)
  })

  test('starts the same again, with the same token', long, async () => {
    started = clone.start(options, { GATEWAY_INSTANCE: instance })
    expect(await welcomed(started)).toBe(token)
    await until(
      '5etools answers',
      async () => (await toolsByCurl(clone, started)).includes('_5etools__search'),
      5 * minutes,
    )
    const { edge, '5etools': server } = kept
    expect(await containers('running')).toMatchObject({ edge, '5etools': server })
  })

  test('is removed by npx gateway down, with all that it kept', long, async () => {
    expect(await started.signal('SIGINT')).toBe(0)
    expect(await clone.gateway('down', '--volumes')).toMatchObject({ code: 0, err: '' })
    const ours = labelsOf({ instance })
    expect(await engine.containers(ours, signal())).toEqual([])
    expect(await engine.images(ours, signal())).toEqual([])
    expect(await engine.volumes(ours, signal())).toEqual([])
    const networks = await engine.networks(signal())
    expect(networks.filter(({ Labels }) => mark(Labels, 'instance') === instance)).toEqual([])
  })
})
