import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificate } from '../support/certificate.ts'
import { type Core, type CoreOptions, imageServer, openCore, permissions } from '../support/core.ts'
import { gitLeftovers, gitProcesses, watchMemory } from '../support/git-processes.ts'
import { type GitServer, serveGit } from '../support/git-server.ts'
import {
  answers,
  breaks,
  claims,
  dawdles,
  drips,
  type GitWay,
  halves,
  hangs,
  openGitWay,
  packet,
  repeats,
  resets,
  type Send,
  type Stage,
  says,
  stalls,
  swells,
} from '../support/git-way.ts'
import { suite } from '../support/machine.ts'
import { properly, type SshServer, serveSsh } from '../support/ssh-server.ts'
import { type Break, openTcpWay, type TcpWay } from '../support/tcp-way.ts'
import { until } from '../support/until.ts'

/** ms; those of a gateway are minutes. */
const limits = { answer: 3_000, silence: 1_000, standstill: 2_000, fetch: 4_000 }
/** What a fault may take in all: the limits, git's time to end, and a machine that is busy. */
const most = 20_000
const patience = { timeout: 60_000 }

let core: Core

async function begin(way: NonNullable<CoreOptions['way']>): Promise<void> {
  core = await openCore({ way })
  const all = {
    'manifests/servers/wiki.yaml': imageServer('a'),
    'manifests/permissions.yaml': permissions({ ann: ['*'] }),
  }
  await core.becomes(await core.publish(all), 'applied')
}

interface Disturbance {
  readonly disturb: () => Promise<void>
  readonly calm: () => Promise<void>
}

/** A commit that would change everything is on the branch while the way to it is disturbed, and applied after. */
async function endures(way: Disturbance, reason: string | RegExp): Promise<void> {
  const before = { table: core.table(), did: [...core.host.did] }
  const change = { 'manifests/servers/wiki.yaml': imageServer(letter()), large: randomBytes(300_000) }
  const grants = { 'manifests/permissions.yaml': permissions({ ann: ['*'], [`bob-${++count}`]: ['wiki'] }) }
  const commit = await core.repository.publish({ ...change, ...grants })
  await way.disturb()
  using memory = watchMemory(core.state)
  const pass = async () => {
    const began = performance.now()
    await core.passed()
    expect(performance.now() - began).toBeLessThan(most)
    return (await core.steward().status('operator')).source.reason
  }
  // On a busy machine a limit may come first, once.
  await expect.poll(pass, { timeout: 40_000, interval: 10 }).toMatch(reason)
  const { source } = await core.steward().status('operator')
  expect(source.ok).toBe(false)
  expect(source.reason).not.toMatch(/\p{Cc}/u)
  expect(source.reason.length).toBeLessThan(500)
  expect(memory.most()).toBeLessThan(1.1 * 2 ** 30)
  expect(core.table()).toEqual(before.table)
  expect(core.host.did).toEqual(before.did)
  expect([...gitProcesses(core.state).values()]).toEqual([])
  expect(gitLeftovers(core.state)).toEqual([])
  await way.calm()
  // The limits are short, and the machine may be busy.
  await until(
    'what was held off is applied',
    async () => {
      core.rounds().ask()
      return (await core.steward().commit(commit, 500, AbortSignal.timeout(most)))?.phase === 'applied'
    },
    40_000,
  )
}

let count = 0
const letter = () => '0123456789bcdef'[count % 15] ?? ''

const page = answers(200, { 'content-type': 'text/html' }, '<!doctype html><title>Sign in</title>')
const oneBranch = packet(`${'a'.repeat(40)} refs/heads/${'x'.repeat(900)}\n`).toString()
/** Or the limit of time, where it comes first. */
const tooMuch = /git has not the memory for what it answers|took more than 3 s/
const noAnswer = 'its answer is cut off, or none of a git server'

const overHttp: readonly (readonly [string, Stage, Send, string | RegExp])[] = [
  ['a page to log in', 'greeting', page, 'the server answers, but not as a git server does (with a page to log in?)'],
  ['a page instead of objects', 'pack', page, noAnswer],
  ['nothing at all', 'greeting', answers(204), 'not as a git server does'],
  ['an empty answer', 'greeting', says(''), 'the remote end hung up unexpectedly'],
  ['no objects', 'pack', says(''), `${noAnswer} (expected 'packfile')`],
  ['noise as objects', 'pack', says(randomBytes(3_000)), noAnswer],
  ['half a greeting', 'greeting', halves, noAnswer],
  ['half of the objects', 'pack', halves, noAnswer],
  ['objects that break off', 'pack', breaks, 'cannot be reached (RPC failed; curl 56'],
  ['a reset at the start', 'greeting', resets, 'Connection reset by peer'],
  ['no answer', 'greeting', hangs, 'cannot be reached (Operation too slow'],
  ['an answer that stalls among the objects', 'pack', stalls, 'git fetch stood still for 2 s'],
  ['a very slow greeting', 'greeting', drips, 'git ls-remote took more than 3 s'],
  ['more length than there is', 'greeting', claims(2), 'git ls-remote took more than 3 s'],
  ['a page without end', 'greeting', repeats('x'), tooMuch],
  ['branches without end', 'refs', repeats(oneBranch), tooMuch],
  ['objects without end', 'pack', swells(), 'git fetch took more than 4 s'],
  ['401', 'greeting', answers(401, { 'www-authenticate': 'Basic realm="git"' }), 'the server wants a login'],
  ['403', 'greeting', answers(403), 'the server forbids it (HTTP 403)'],
  ['500', 'greeting', answers(500, {}, '<html>'), 'the server answers HTTP 500'],
  ['503 for the objects', 'pack', answers(503), 'the server answers HTTP 503'],
  ['a redirect', 'greeting', answers(302, { location: '/user/login' }), 'the address leads elsewhere (a redirect)'],
]

describe('over HTTP', () => {
  let server: GitServer
  let way: GitWay
  beforeAll(() =>
    begin(async (bare) => {
      server = await serveGit(bare)
      way = await openGitWay(server.url)
      return { repo: way.url, limits }
    }),
  )
  afterAll(async () => {
    for (const one of [core, way, server]) await one[Symbol.asyncDispose]()
  })

  test('a server that packs for long is waited for as long as it says so', patience, async () => {
    way.distortion = { stage: 'pack', send: dawdles(4, 700) }
    await core.becomes(await core.publish({ large: randomBytes(300_000) }), 'applied')
    expect((await core.steward().status('operator')).source.ok).toBe(true)
    way.distortion = undefined
  })

  test('it is asked again by itself', patience, async () => {
    way.distortion = { stage: 'refs', send: answers(502) }
    const commit = await core.publish({ note: 'by itself' })
    await core.passed()
    expect((await core.steward().status('operator')).source.ok).toBe(false)
    way.distortion = undefined
    await core.becomes(commit, 'applied')
  })

  test.for(overHttp)('%s, and nothing changes', patience, async ([, stage, send, reason]) => {
    const disturb = async () => {
      way.distortion = { stage, send }
    }
    const calm = async () => {
      way.distortion = undefined
    }
    await endures({ disturb, calm }, reason)
  })
})

const run = 'sh -c "$SSH_ORIGINAL_COMMAND" 2>/dev/null'
const overSsh: readonly (readonly [string, string | Break, string | RegExp])[] = [
  [
    'a greeting for people',
    'echo "This account is not available."',
    `${noAnswer} (protocol error: bad line length character: This)`,
  ],
  ['branches without end', `exec yes '${oneBranch.trim()}'`, tooMuch],
  [
    'an error of the server’s own',
    'echo "fatal: the forge is being maintained" >&2; exit 128',
    'cannot be reached (the forge is being maintained)',
  ],
  [
    'a server without git',
    'echo "git-upload-pack: command not found" >&2; exit 127',
    'cannot be reached (git-upload-pack: command not found)',
  ],
  ['an end without a word', 'exit 1', 'cannot be reached (the server ended the session)'],
  ['no answer', 'exec sleep 60', 'git ls-remote took more than 3 s'],
  ['half of the objects', `${run} | stdbuf -o0 head -c 100000`, 'cannot be reached'],
  [
    'objects that stall',
    `${run} | { stdbuf -o0 head -c 100000; [ $(head -c 1000 | wc -c) -gt 0 ] && exec sleep 60; }`,
    'git fetch stood still for 2 s',
  ],
  ['a reset at the start', { after: 0, how: 'reset' }, 'cannot be reached ('],
  ['an end while keys are exchanged', { after: 500, how: 'end' }, 'cannot be reached (Connection closed by'],
  ['a reset while the login is', { after: 2_000, how: 'reset' }, 'cannot be reached'],
  ['silence while the login is', { after: 2_000, how: 'hang' }, 'git ls-remote took more than 3 s'],
  ['a reset among the objects', { after: 100_000, how: 'reset' }, 'cannot be reached (early EOF)'],
  ['silence among the objects', { after: 100_000, how: 'hang' }, 'git fetch stood still for 2 s'],
]

suite('over SSH', ['sshd'], () => {
  let server: SshServer
  let way: TcpWay
  beforeAll(() =>
    begin(async (bare) => {
      server = await serveSsh()
      const [, port = ''] = server.host.split(':')
      way = await openTcpWay(Number(port))
      const sshKnownHosts = `${server.knownHosts}-of-the-way`
      await writeFile(sshKnownHosts, (await readFile(server.knownHosts, 'utf8')).replace(port, String(way.port)))
      return { repo: server.url(bare).replace(port, String(way.port)), sshKeyFile: server.key, sshKnownHosts, limits }
    }),
  )
  afterAll(async () => {
    for (const one of [core, way, server]) await one[Symbol.asyncDispose]()
  })

  test.for(overSsh)('%s, and nothing changes', patience, async ([, fault, reason]) => {
    const disturb = async () => {
      if (typeof fault === 'string') await server.serve(fault)
      else way.break = fault
    }
    const calm = async () => {
      way.break = undefined
      await server.serve(properly)
    }
    await endures({ disturb, calm }, reason)
  })
})

test('a certificate of an unknown CA, and nothing changes', patience, async () => {
  const [right, wrong] = [createCertificate(), createCertificate()]
  const folder = await mkdtemp(join(tmpdir(), 'gateway-ca-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, right.cert)
  let server: GitServer | undefined
  await begin(async (bare) => {
    server = await serveGit(bare, { tls: right })
    return { repo: server.url, caFile, limits }
  })
  await endures(
    { disturb: () => writeFile(caFile, wrong.cert), calm: () => writeFile(caFile, right.cert) },
    'its certificate is not trusted',
  )
  await core[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})
