import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CommitStatus, Status } from '#manifests/status.ts'
import { Refused } from '../../controller/controller.ts'
import { openAdmin } from '../../controller/face/admin.ts'
import { createFace } from '../../controller/face/http.ts'
import { commitStatus, createMemoryController, serverStatus } from '../support/controller.ts'
import { usual } from '../support/environment.ts'

const bin = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))
const sha = 'c'.repeat(40)

let folder: string
let closing: (() => Promise<unknown>)[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'))
  closing = [() => rm(folder, { recursive: true })]
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the real program in an empty folder, with nothing of ours in its environment but what is given. */
async function gateway(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, env: { ...usual, ...env } })
  child.stdin.end(input)
  const ended = new Promise<number | null>((done) => child.once('close', done))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

async function openController() {
  const controller = createMemoryController()
  controller.commits.push(commitStatus(sha))
  controller.servers.push(
    serverStatus('wiki', { tools: ['search', 'read'] }),
    serverStatus('mail', { phase: 'stalled', reason: 'the build failed', log: 'no such file' }),
  )
  const admin = await openAdmin(controller, folder)
  closing.push(() => admin.close())
  return controller
}

describe('typing', () => {
  test.each([
    [['stauts'], "gateway: unknown command 'stauts' (Did you mean status?)\n"],
    [['status', '--jsn'], "gateway: unknown option '--jsn' (Did you mean --json?)\n"],
    [['token', 'nwe'], "gateway: unknown command 'nwe' (Did you mean new?)\n"],
    [['history', 'x'], /^gateway: too many arguments.*\n$/],
    [['history', '--limit', 'many'], /^gateway: option .*whole number from 1 to 500\.\n$/],
    [['start', '--port', '70000'], /^gateway: option .*whole number from 1 to 65525\.\n$/],
    [['start', '--runtime', 'podman'], /^gateway: option .*Allowed choices are docker, process\.\n$/],
  ])('%j is answered with one line', async (args, line) => {
    const { code, out, err } = await gateway(args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(line)
  })

  test('nothing shows the verbs', async () => {
    const { code, err } = await gateway([])
    expect(code).toBe(1)
    for (const verb of ['start', 'validate', 'status', 'reconcile', 'token']) expect(err).toContain(`\n  ${verb} `)
  })
})

describe('gateway token', () => {
  test('new writes only the token to stdout, and to stderr what to commit and how to use it', async () => {
    const { code, out, err } = await gateway(['token', 'new', 'agent-x'])
    expect(code).toBe(0)
    expect(out).toMatch(/^cgw_[A-Za-z0-9_-]{43}\n$/)
    expect(err).toContain('agent-x:')
    expect(err).toContain(`token_hash: "sha256:${createHash('sha256').update(out.trim()).digest('hex')}"`)
    expect(err).toContain('Bearer $TOKEN')
    expect(err).not.toContain(out.trim())
  })

  test('new is another one each time', async () => {
    const made = await Promise.all([gateway(['token', 'new', 'a']), gateway(['token', 'new', 'a'])])
    expect(new Set(made.map(({ out }) => out)).size).toBe(2)
  })

  test('new refuses a name that no permissions file may have', async () => {
    const { code, out, err } = await gateway(['token', 'new', 'two words'])
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^gateway: .*two words.*\n$/)
  })

  test.each(['abc', 'abc\n', 'abc\r\n'])('hash drops at most one newline of %j', async (input) => {
    const hash = createHash('sha256').update('abc').digest('hex')
    expect(await gateway(['token', 'hash'], {}, input)).toMatchObject({ code: 0, out: `sha256:${hash}\n` })
  })

  test.each(['', '\n', 'abc\n\n', 'a b'])('hash refuses %j', async (input) => {
    const { code, out, err } = await gateway(['token', 'hash'], {}, input)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^gateway: .+\n$/)
  })
})

describe('gateway validate', () => {
  async function commit(permissions: string) {
    await mkdir(join(folder, 'manifests'), { recursive: true })
    await writeFile(join(folder, 'manifests/permissions.yaml'), permissions)
  }

  test('is fine with a folder that a commit could have', async () => {
    await commit('agents: {}\n')
    expect(await gateway(['validate'])).toMatchObject({ code: 0, out: 'valid: 0 servers, 0 agents\n', err: '' })
  })

  test('tells each fault in a line, and as JSON', async () => {
    await commit('agents:\n  a: { servers: 7 }\n')
    const { code, out } = await gateway(['validate', '.'])
    expect(code).toBe(1)
    expect(out).toMatch(/^manifests\/permissions\.yaml:2:\d+ agents\.a/m)
    const json = await gateway(['validate', folder, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, faults: [{ line: 2 }, { line: 2 }] })
  })

  test('names a folder that is not there', async () => {
    expect((await gateway(['validate', 'elsewhere'])).code).toBe(1)
  })
})

describe('asking a controller', () => {
  test('shows what is true, by its socket', async () => {
    await openController()
    const { code, out } = await gateway(['status', '--state', folder])
    expect(code).toBe(0)
    expect(out).toContain(`commit ${sha.slice(0, 12)}  applied`)
    expect(out).toMatch(/^wiki +ready +2 tools +serves$/m)
    expect(out).toMatch(/^mail +stalled +the build failed$/m)
  })

  test('shows a server with its log, from the folder in GATEWAY_STATE', async () => {
    await openController()
    const { out } = await gateway(['status', 'mail'], { GATEWAY_STATE: folder })
    expect(out).toMatch(/the build failed[\s\S]*no such file/)
  })

  test('shows what of its tools differs from the lock, and what is hidden in them', async () => {
    const controller = await openController()
    const [old, now] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`]
    const differs = [{ part: 'description', old: 'searches', new: 'searches, and mails it' }]
    controller.servers[0] = serverStatus('wiki', {
      tools: ['search', 'read'],
      drift: [{ tool: 'search', change: 'changed', treated: 'blocked', old, new: now, differs }],
      suspicions: [
        { tool: 'read', kind: 'hidden', at: 'description', what: 'a hidden character: U+200B (of no width)' },
      ],
    })
    const all = await gateway(['status', '--state', folder])
    expect(all.out).toMatch(/^wiki +ready +2 tools +serves; 1 tool differs from the lock, 1 blocked; 1 suspicious$/m)
    const { out } = await gateway(['status', 'wiki', '--state', folder])
    expect(out.split('\n').slice(-9).join('\n')).toBe(`
differs from manifests/tools.lock.yaml:
search has changed (description), sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb: agents do not get it
  - description: searches
  + description: searches, and mails it

says what it should not:
read description: a hidden character: U+200B (of no width)
`)
  })

  test('gives JSON as the schemas say', async () => {
    await openController()
    const status = await gateway(['status', '--state', folder, '--json'])
    expect(Status.parse(JSON.parse(status.out)).servers).toHaveLength(2)
    const history = await gateway(['history', '--state', folder, '--json'])
    expect(JSON.parse(history.out).map((commit: unknown) => CommitStatus.parse(commit).commit)).toEqual([sha])
  })

  test('tells below each commit what was put right while it was current', async () => {
    const controller = await openController()
    controller.commits[0] = commitStatus(sha, { repaired: ['2030-01-02T03:04:05.678Z wiki: it was paused by hand'] })
    controller.commits.push(commitStatus('d'.repeat(40), { phase: 'superseded' }))
    expect((await gateway(['history', '--state', folder])).out).toBe(
      [
        '2030-01-02T03:04:05.678Z  cccccccccccc  applied     as it says',
        '  put right 2030-01-02T03:04:05.678Z wiki: it was paused by hand',
        '2030-01-02T03:04:05.678Z  dddddddddddd  superseded  as it says',
        '',
      ].join('\n'),
    )
    expect((await gateway(['status', '--state', folder])).out).toContain('\n  put right 2030-01-02T')
  })

  test('names a server that is not there', async () => {
    await openController()
    const { code, err } = await gateway(['status', 'wikki', '--state', folder])
    expect([code, err]).toEqual([1, 'gateway: no server "wikki" (there are: wiki, mail)\n'])
  })

  test('asks at an address with the operator token', async () => {
    const controller = createMemoryController()
    controller.servers.push(serverStatus('mail', { log: 'no such file' }))
    const face = createFace(controller, { operatorToken: 'a-token-of-a-test' })
    closing.push(() => face.close())
    const url = await face.listen({ host: '127.0.0.1', port: 0 })
    const asked = await gateway(['status', 'mail', '--url', url], { GATEWAY_OPERATOR_TOKEN: 'a-token-of-a-test' })
    expect(asked.out).toContain('no such file')
    expect((await gateway(['status', 'mail', '--url', url])).out).not.toContain('no such file')
    const wrong = await gateway(['status', '--url', url, '--token', 'wrong'])
    expect([wrong.code, wrong.err]).toEqual([1, 'gateway: this is not the operator token\n'])
  })

  test('takes nothing else for a controller', async () => {
    const other = createServer((_request, answer) => answer.end('<p>hello')).listen(0, '127.0.0.1')
    closing.push(async () => other.close())
    await expect.poll(() => other.listening).toBe(true)
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const { code, err } = await gateway(['status', '--url', url])
    expect([code, err]).toEqual([1, `gateway: ${url} does not answer as a controller does\n`])
  })

  test('cannot have its terminal steered by what others wrote', async () => {
    const controller = await openController()
    controller.servers[0] = serverStatus('wiki', { reason: '\x1b[2J\x07gone' })
    const { out } = await gateway(['status', '--state', folder])
    expect(out).toContain('[2Jgone')
    expect(['\x1b', '\x07'].filter((control) => out.includes(control))).toEqual([])
    controller.explain = async () => {
      throw new Refused('no server has a tool "x"; there are: \x1b[2Jgone')
    }
    const { err } = await gateway(['explain', 'agent-a', 'x', '--state', folder])
    expect(err).toBe('gateway: no server has a tool "x"; there are: [2Jgone\n')
  })

  test('watches until something changes', async () => {
    const controller = await openController()
    const child = spawn(process.execPath, [bin, 'status', '--watch', '--state', folder, '--json'])
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk
    })
    await expect.poll(() => out).toContain('the build failed')
    controller.servers[1] = serverStatus('mail', { reason: 'serves at last' })
    await expect.poll(() => out).toContain('serves at last')
    expect(out.trim().split('\n')).toHaveLength(2)
    child.kill()
  })

  test('asks for a pass, and tells what came of it when told to wait', async () => {
    const controller = await openController()
    expect((await gateway(['reconcile', '--state', folder])).code).toBe(0)
    expect(controller.pokes).toBe(1)
    const good = await gateway(['reconcile', '--wait', '--state', folder])
    expect([good.code, good.out]).toEqual([0, `commit ${sha.slice(0, 12)}  applied  as it says\n`])
    controller.commits[0] = commitStatus(sha, { phase: 'rejected', errors: ['manifests/x.yaml:1:1 what'] })
    const bad = await gateway(['reconcile', '--wait', '--state', folder])
    expect([bad.code, bad.err]).toEqual([1, `gateway: commit ${sha.slice(0, 12)} is rejected\n`])
    expect(bad.out).toContain('  manifests/x.yaml:1:1 what')
  })

  test('takes everything down', async () => {
    const controller = await openController()
    expect((await gateway(['down', '--volumes', '--state', folder])).code).toBe(0)
    expect(controller.downs).toEqual([{ volumes: true }])
  })

  test.each([['down'], ['doctor']])('%s says in one line that nobody can tell how it was started', async (verb) => {
    await writeFile(join(folder, 'start.json'), '{"GATEWAY_')
    const { code, out, err } = await gateway([verb, '--state', folder])
    expect(code).toBe(1)
    expect(out + err).toMatch(/^(gateway:|fail +configuration) .*start\.json cannot be read: remove it$/m)
    expect(err).not.toMatch(/^ +at /m)
  })

  test.each([['status'], ['history'], ['reconcile']])('%s says so when there is none', async (verb) => {
    const { code, out, err } = await gateway([verb, '--state', folder])
    expect([code, out, err]).toEqual([1, '', `gateway: no controller answers at ${folder}/admin.sock\n`])
  })
})

describe('telling operators', () => {
  test('shows what servers and builds print, and why things are as they are', async () => {
    const controller = await openController()
    controller.narration.build('wiki')('step 1 of 2')
    const log = await gateway(['logs', 'wiki', '--tail', '3', '--state', folder])
    expect([log.code, log.out]).toEqual([0, 'the last 3 lines of wiki\n'])
    expect((await gateway(['logs', 'wiki', '--build', '--state', folder])).out).toBe('step 1 of 2\n')
    const told = await gateway(['explain', 'ann', 'search', '--state', folder])
    expect([told.code, told.out]).toEqual([0, 'agent ann\ntool  search\n'])
    expect((await gateway(['logs', 'wiki', '-f', '--build', '--state', folder])).code).toBe(1)
  })

  test('tells them to nobody else', async () => {
    const face = createFace(createMemoryController(), { operatorToken: 'a-token-of-a-test' })
    closing.push(() => face.close())
    const url = await face.listen({ host: '127.0.0.1', port: 0 })
    for (const verb of ['logs', 'explain']) {
      const { code, err } = await gateway([verb, 'wiki', '--url', url])
      expect([code, err]).toEqual([1, 'gateway: this needs the operator token\n'])
    }
  })

  test('tells a build as it runs to who waits', async () => {
    const controller = await openController()
    controller.commits[0] = commitStatus(sha, { phase: 'applying' })
    const waiting = gateway(['reconcile', '--wait', '--state', folder])
    await expect.poll(() => controller.pokes).toBeGreaterThan(0)
    controller.narration.doing('wiki', 'building')
    controller.narration.build('wiki')('step 1 of 2')
    controller.commits[0] = commitStatus(sha)
    controller.announce()
    expect(await waiting).toMatchObject({
      code: 0,
      out: `wiki: building\nwiki | step 1 of 2\ncommit ${sha.slice(0, 12)}  applied  as it says\n`,
    })
  })

  test('examines a machine without a controller', async () => {
    const { code, out } = await gateway(['doctor', '--state', folder])
    expect(code).toBe(1)
    expect(out).toMatch(/^fail +configuration +GATEWAY_REPO: not given/m)
    expect(out).toMatch(/^warn +controller +none runs in/m)
  })
})
