import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import { aimAt } from '../../controller/aim.ts'
import { compile } from '../../controller/compile/compile.ts'
import type { Desired, Server } from '../../controller/desired.ts'
import { explain } from '../../controller/explain.ts'
import { target, targetKey } from '../../controller/generation.ts'
import { openJournal } from '../../controller/journal/journal.ts'
import { judge } from '../../controller/judge.ts'
import { plan } from '../../controller/plan.ts'
import { settle } from '../../controller/routes.ts'
import { anyMachine, settled, wantedOf } from '../../controller/settled.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { leaksIn, randomToken } from '../support/leaks.ts'
import * as make from '../support/make.ts'
import { placesOfState } from '../support/state-search.ts'
import { treeOf } from '../support/tree.ts'
import { until } from '../support/until.ts'

const url = 'https://wiki.example:8443/mcp?team=1'
const file = (more = 'auth: { secret: WIKI_TOKEN }\n', at = url) => `description: a wiki\nurl: ${at}\n${more}`
const wiki = 'manifests/servers/wiki.yaml'
const chess = 'manifests/servers/chess.yaml'
const grants = 'manifests/permissions.yaml'
const sends = 'sends the secret WIKI_TOKEN to https://wiki.example:8443'

async function desiredOf(manifest: string, more: Readonly<Record<string, string>> = {}): Promise<Desired> {
  const compiled = await compile(treeOf({ [wiki]: manifest, [grants]: permissions({ ann: ['*'] }), ...more }))
  return compiled.ok ? compiled.desired : expect.unreachable(JSON.stringify(compiled.faults))
}

async function compiled(manifest: string): Promise<Server> {
  return (await desiredOf(manifest)).servers.wiki ?? expect.unreachable()
}

const machineWith = (secrets: Readonly<Record<string, string>>) => ({
  ...make.machine,
  secrets: new Map(Object.entries(secrets)),
})

describe('the credential of an outside server', () => {
  test('is compiled with its defaults, and told as what it loosens', async () => {
    const before = await compiled(file(''))
    const after = await compiled(file())
    expect(after.auth).toEqual({ secret: 'WIKI_TOKEN', header: 'Authorization', scheme: 'Bearer' })
    expect(after.loosens).toEqual([sends])
    expect(before.loosens).toEqual([])
    expect(after.route).not.toBe(before.route)
    expect(after.config).toBe(before.config)
  })

  test.each([
    ['auth: { secret: WIKI_TOKEN }\n', { header: 'authorization', value: 'Bearer abc' }],
    ['auth: { secret: WIKI_TOKEN, scheme: "" }\n', { header: 'authorization', value: 'abc' }],
    ['auth: { secret: WIKI_TOKEN, header: X-Api-Key, scheme: "" }\n', { header: 'x-api-key', value: 'abc' }],
  ])('is made of the secret of the machine: %s', async (auth, credential) => {
    const server = await compiled(file(auth))
    expect(target(server, 'c1', machineWith({ WIKI_TOKEN: 'abc' }))).toMatchObject({ kind: 'elsewhere', credential })
  })

  test('leaves the server the generation that it is, whatever it is', async () => {
    const keys = await Promise.all(
      ['', 'auth: { secret: A }\n', 'auth: { secret: B, header: X-Key }\n'].map(async (auth) =>
        targetKey(target(await compiled(file(auth)), 'c1', machineWith({ A: 'a', B: 'b' }))),
      ),
    )
    expect(new Set(keys).size).toBe(1)
  })

  test.each([
    ['is missing', {}, 'WIKI_TOKEN is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)'],
    ['is empty', { WIKI_TOKEN: '' }, 'WIKI_TOKEN cannot be sent in a header'],
    ['has two lines', { WIKI_TOKEN: 'private\nwords' }, 'WIKI_TOKEN cannot be sent in a header'],
    ['is not ASCII', { WIKI_TOKEN: 'privät' }, 'WIKI_TOKEN cannot be sent in a header'],
  ])('holds its server where the secret %s', async (_, secrets, because) => {
    const held = target(await compiled(file()), 'c1', machineWith(secrets))
    expect(held).toMatchObject({ kind: 'held', because: expect.stringContaining(because) })
    expect(JSON.stringify(held)).not.toContain('priv')
  })
})

describe('a plan', () => {
  /** From one manifest to another, as on a machine that is as the first says. */
  async function picture(from: string | undefined, to: string): Promise<string> {
    const head = await desiredOf(to)
    const base = from === undefined ? { ...head, servers: {} } : await desiredOf(from)
    const machine = anyMachine(base, head)
    const aim = aimAt(head, machine)
    return `\n${explain(plan(aim, wantedOf(aim), settled(aimAt(base, machine))).filter((step) => 'server' in step))}`
  }
  const sum = '\n0 to build, 0 to replace, 0 to remove, 1 to route'

  test('names the host that a credential is sent to', async () => {
    expect(await picture(undefined, file())).toBe(`\n+   wiki   new in the commit; ${sends}${sum}`)
    expect(await picture(file(''), file())).toBe(`\n~   wiki   its credential changed; ${sends}${sum}`)
  })

  test('names another host, another secret, and the end of it', async () => {
    const elsewhere = 'https://other.example/mcp'
    const there = 'sends the secret WIKI_TOKEN to https://other.example'
    expect(await picture(file(), file(undefined, elsewhere))).toBe(`\n~   wiki   its address changed; ${there}${sum}`)
    expect(await picture(file(), file('auth: { secret: OTHER }\n'))).toBe(
      `\n~   wiki   its credential changed; sends the secret OTHER to https://wiki.example:8443${sum}`,
    )
    expect(await picture(file(), file(''))).toBe(`\n~   wiki   its credential changed${sum}`)
    expect(await picture(file(), file())).toBe('\n0 to build, 0 to replace, 0 to remove')
  })
})

describe('a commit that needs consent', () => {
  async function verdict(from: string, to: string) {
    const settings = { ...make.settings, governance: { approvals: 1 } }
    const base = { ...(await desiredOf(from)), commit: 'c1', settings }
    const head = { ...(await desiredOf(to)), commit: 'c2', settings }
    const consent = { given: false, because: 'nobody has approved it' } as const
    const bench = { base, approved: new Set<string>(), trailers: new Set<string>(), consent }
    const { desired, held } = judge(head, bench)
    const [part] = held
    const released = part && judge(head, { ...bench, approved: new Set([part.plan]) })
    return { what: part?.what, now: desired.servers.wiki, base, head, released, plan: part?.plan }
  }

  test.each([
    ['a credential', '', 'auth: { secret: WIKI_TOKEN }\n', url, sends],
    [
      'another secret',
      'auth: { secret: A }\n',
      'auth: { secret: B }\n',
      url,
      'sends the secret B to https://wiki.example:8443',
    ],
    [
      'another host',
      undefined,
      undefined,
      'https://other.example/mcp',
      'sends the secret WIKI_TOKEN to https://other.example',
    ],
    [
      'the clear',
      undefined,
      undefined,
      'http://wiki.example:8443/mcp',
      'sends the secret WIKI_TOKEN to http://wiki.example:8443',
    ],
  ])('waits with %s, until that is approved', async (_, before, after, at, words) => {
    const { what, now, base, head, released } = await verdict(file(before), file(after, at))
    expect(what).toBe(`wiki ${words}`)
    expect(now).toEqual(base.servers.wiki)
    expect(released).toEqual({ desired: head, held: [] })
  })

  test.each([
    ['another path on the same host', undefined, 'https://wiki.example:8443/other'],
    ['the end of the credential', '', url],
    ['another header', 'auth: { secret: WIKI_TOKEN, header: X-Api-Key }\n', url],
  ])('does not wait with %s', async (_, auth, at) => {
    const { what, now, head } = await verdict(file(), file(auth, at))
    expect(what).toBeUndefined()
    expect(now).toEqual(head.servers.wiki)
  })

  test('approves no other host by what was approved', async () => {
    const one = await verdict(file(), file(undefined, 'https://one.example/mcp'))
    const other = await verdict(file(), file(undefined, 'https://other.example/mcp'))
    const header = await verdict(file(''), file('auth: { secret: WIKI_TOKEN, header: X-Api-Key }\n'))
    const usual = await verdict(file(''), file())
    expect(new Set([one, other, header, usual].map(({ plan: id }) => id)).size).toBe(4)
  })
})

describe('a controller', () => {
  let core: Core
  afterEach(() => core[Symbol.asyncDispose]())
  const sent = () => core.table().servers.wiki?.credential?.value

  async function look(): Promise<void> {
    core.rounds().ask()
    await core.passed()
  }

  async function open(secrets: Readonly<Record<string, string>>): Promise<void> {
    core = await openCore()
    for (const [name, value] of Object.entries(secrets)) core.secrets.set(name, value)
    const commit = await core.publish({
      [wiki]: file(),
      [chess]: imageServer('1'),
      [grants]: permissions({ ann: ['*'] }),
    })
    await core.becomes(commit)
    await core.rests()
  }

  test('holds a server whose credential is missing, and that one alone, until the secrets file has it', async () => {
    await open({})
    const because = 'WIKI_TOKEN is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)'
    expect(await core.server('wiki')).toMatchObject({ phase: 'waiting', reason: because })
    expect(await core.server('chess')).toMatchObject({ phase: 'ready' })
    expect(Object.keys(core.table().agents.ann?.grants ?? {})).toEqual(['chess'])
    const secret = randomToken()
    core.secrets.set('WIKI_TOKEN', secret)
    await look()
    expect(sent()).toBe(`Bearer ${secret}`)
    expect(await core.server('wiki')).toMatchObject({ phase: 'ready' })
    expect(Object.keys(core.table().agents.ann?.grants ?? {}).sort()).toEqual(['chess', 'wiki'])
  })

  test('changes the table alone when the secret changes', async () => {
    await open({ WIKI_TOKEN: randomToken() })
    const { servers, revision } = core.table()
    const done = core.host.did.length
    const secret = randomToken()
    core.secrets.set('WIKI_TOKEN', secret)
    await look()
    const changed = { ...servers.wiki, credential: { header: 'authorization', value: `Bearer ${secret}` } }
    expect(core.table().servers).toEqual({ ...servers, wiki: changed })
    expect(core.table().revision).toBe(revision + 1)
    await core.rests()
    expect(core.host.did).toHaveLength(done)
    await look()
    expect(core.table().revision).toBe(revision + 1)
  })

  test('goes on with the secret that it had while the file lacks it, after a restart too, and stores it nowhere', async () => {
    const secret = randomToken()
    await open({ WIKI_TOKEN: secret })
    const { revision } = core.table()
    core.secrets.clear()
    await look()
    expect(sent()).toBe(`Bearer ${secret}`)
    expect(await core.server('wiki')).toMatchObject({ phase: 'waiting', reason: expect.stringContaining('WIKI_TOKEN') })
    await core.restart()
    await core.passed()
    expect(sent()).toBe(`Bearer ${secret}`)
    await until('the proxy has it', () => core.proxy().table?.servers.wiki?.credential?.value === `Bearer ${secret}`)
    expect(core.table().revision).toBe(revision)
    const places = await placesOfState(core.state)
    expect(places.length).toBeGreaterThan(2)
    expect(places.flatMap(({ where, content }) => leaksIn(where, content, { secret }))).toEqual([])
  })

  test('reads it in a copy of its journal with its key alone', async () => {
    const secret = randomToken()
    await open({ WIKI_TOKEN: secret })
    const copy = await mkdtemp(join(tmpdir(), 'journal-'))
    try {
      const db = new DatabaseSync(join(core.state, 'journal.db'), { readOnly: true })
      db.prepare('vacuum into ?').run(join(copy, 'journal.db'))
      db.close()
      using own = openJournal(copy, core.state)
      expect(own.readTable()).toEqual(core.table())
      using other = openJournal(copy)
      expect(other.readTable()?.servers.wiki).toMatchObject({ upstream: 'https://wiki.example:8443' })
      expect(other.readTable()?.servers.wiki?.credential).toBeUndefined()
    } finally {
      await rm(copy, { recursive: true })
    }
  })

  test('tells it nowhere', async () => {
    const secret = randomToken()
    await open({ WIKI_TOKEN: secret })
    const { sent: told, ...seen } = {
      sent: sent(),
      status: await core.steward().status('operator'),
      commits: core.journal().history(10),
      wiki: await core.steward().explain('wiki', undefined),
    }
    expect(told).toContain(secret)
    expect(JSON.stringify(seen.wiki)).toContain(sends)
    expect(leaksIn('', JSON.stringify(seen), { secret })).toEqual([])
  })

  test('stops sending it as soon as a commit says so', async () => {
    await open({ WIKI_TOKEN: randomToken() })
    await core.becomes(await core.publish({ [wiki]: file('') }), 'applied')
    expect(core.table().servers.wiki).not.toHaveProperty('credential')
  })
})

test('a server that comes to run here takes no credential along', async () => {
  const outside = await compiled(file())
  const aim = make.aim([outside], {}, { secrets: new Map([['WIKI_TOKEN', 'x']]) })
  const before = settle(make.table([]), aim)
  expect(before.servers.wiki).toHaveProperty('credential')
  const here = make.server('wiki')
  const { servers } = settle({ ...before, servers: make.table([here]).servers }, make.aim([here]))
  expect(servers.wiki).not.toHaveProperty('credential')
})
