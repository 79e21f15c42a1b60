import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compile } from '../../controller/compile/compile.ts'
import type { Compiled, Desired } from '../../controller/desired.ts'
import { compileApart } from '../../controller/forge/compile-apart.ts'
import { previewOf } from '../../controller/forge/preview.ts'
import { openSource } from '../../controller/source/source.ts'
import { readSigners } from '../../controller/trust/signers.ts'
import { heldPart } from '../../controller/trust/trusted.ts'
import { imageServer, permissions } from '../support/core.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { type Counter, openCounter } from '../support/pull-counter.ts'
import { type Change, createRepository } from '../support/repository.ts'
import { createKeys, type Keys } from '../support/signing.ts'
import { treeOf } from '../support/tree.ts'
import { until } from '../support/until.ts'

const grants = 'manifests/permissions.yaml'
const outline = 'manifests/servers/outline.yaml'
const notes = 'manifests/servers/notes.yaml'
const base = {
  [grants]: permissions({ ann: ['outline'] }),
  [outline]: imageServer('a'),
  [notes]: imageServer('b'),
}

let site: FixtureForge
let keys: Keys
let desk: Counter

beforeAll(async () => {
  site = await openFixtureForge()
  keys = await createKeys()
  await keys.allow('default', await keys.line('dev'))
  await keys.allow('permissions', await keys.line('chief'))
})
afterAll(async () => {
  await keys[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})
beforeEach(async () => {
  desk = await openCounter(site)
  await desk.moveMain(base)
})
afterEach(() => desk[Symbol.asyncDispose]())

async function demandSignatures(): Promise<void> {
  const { permissions: list } = await readSigners(keys.folder)
  desk.footing = { ...desk.footing, signers: { path: keys.folder, digest: list.digest } }
}

/** Commits each of these as somebody, or as nobody, and asks for the merge of all. */
async function propose(...commits: readonly (readonly [string | undefined, Readonly<Record<string, Change>>])[]) {
  const { work } = desk.stage
  const [[who, changes] = [undefined, {}], ...more] = commits
  await keys.sign(work, who)
  const { branch, head, number } = await desk.propose(changes)
  let last = head
  for (const [name, next] of more) {
    await keys.sign(work, name)
    last = await work.commit(next)
  }
  await keys.sign(work, undefined)
  await desk.stage.push(branch)
  return { branch, head: last, number }
}

/** What the comment says of this very head. */
async function told(number: number, head: string, ...parts: readonly string[]): Promise<string> {
  const found = await until(
    `the comment of ${head} says ${parts.join(', ')}`,
    () =>
      desk
        .commentsOf(number)
        .find(
          ({ body }) => body.includes(`\`${head.slice(0, 12)}\` merged`) && parts.every((part) => body.includes(part)),
        ),
    30_000,
  )
  return found.body
}

function block(body: string, title: string): readonly string[] {
  const [, text = ''] = body.split(`**${title}**\n\n\`\`\`diff\n`)
  return text.split('\n```')[0]?.split('\n') ?? []
}

const planOf = (body: string) => /gateway approve ([0-9a-f]{8})/.exec(body)?.[1] ?? ''

/** Merges as a forge does, and vets that as a pass does. */
async function heldOnceMerged(branch: string): Promise<string | undefined> {
  const { work, url, bot } = desk.stage
  await work.git('checkout', '--quiet', 'main')
  await work.git('merge', '--quiet', '--no-ff', '-m', 'Merge', branch)
  await desk.stage.push('main')
  const state = await mkdtemp(join(tmpdir(), 'held-'))
  const limit = AbortSignal.timeout(30_000)
  const inherited = { PATH: process.env.PATH ?? '' }
  const options = { repo: url, branch: 'main', path: '', state, token: bot.token, inherited, signers: keys.folder }
  const source = await openSource(options)
  const { unsigned } = await source.vet(await source.fetch(limit), desk.accepted, limit)
  await rm(state, { recursive: true, force: true, maxRetries: 3 })
  return heldPart(unsigned)?.plan
}

describe('the plan of a pull request whose commits must be signed', () => {
  beforeEach(demandSignatures)

  test('(9) says what waits for a signature as the pass will, and what does not', async () => {
    await desk.inspect()
    const { head, number, branch } = await propose(
      [undefined, { [grants]: permissions({ ann: ['outline', 'notes'] }) }],
      ['dev', { [outline]: imageServer('c') }],
    )
    const body = await told(number, head, 'but for what is held')
    expect(block(body, 'Held once merged, until approved')).toEqual([
      expect.stringMatching(
        /^! changes of one path that nobody signed who may \(manifests\/permissions\.yaml stays as in .* not signed by an allowed signer \(permissions\); held until "gateway approve /,
      ),
    ])
    expect(block(body, 'Plan, at once')).toEqual([
      expect.stringMatching(/^\+\/- outline {3}image changed/),
      '0 to build, 1 to replace, 0 to remove',
    ])
    expect(block(body, 'Plan, once all of it is approved')).toContainEqual(
      expect.stringMatching(/^~ {3}ann {7}gains notes/),
    )
    expect(block(body, 'Who gains and loses what')).toEqual(['+ ann gains notes (all tools)'])
    expect(body).toContain('A squash or a rebase makes others of them')
    expect(await desk.judged(head)).toMatchObject({
      state: 'success',
      description: 'in part held until approved; 0 to build, 1 to replace, 0 to remove',
    })
    expect(await heldOnceMerged(branch)).toBe(planOf(body))
  })

  test('holds nothing that is signed by who may, and nothing that was approved on the machine', async () => {
    await desk.inspect()
    const wide = { [grants]: permissions({ ann: ['outline', 'notes'] }) }
    const signed = await propose(['chief', wide])
    expect(await told(signed.number, signed.head)).not.toContain('Held')
    const unsigned = await propose(['dev', wide])
    const plan = planOf(await told(unsigned.number, unsigned.head, 'Held once merged, until approved'))
    desk.footing = { ...desk.footing, approved: [plan] }
    await until('it is held no more', () =>
      desk.commentsOf(unsigned.number).some(({ body }) => !body.includes('Held') && body.includes('gains notes')),
    )
    const shown = () => desk.statusOf(unsigned.head)?.description ?? ''
    await until('its status says so, too', () => /^0 to build.* 1 grant added$/.test(shown()))
  })

  test('says where the signed part alone makes no commit', async () => {
    await desk.inspect()
    const { head, number } = await propose(
      [undefined, { 'manifests/servers/extra.yaml': imageServer('e') }],
      ['chief', { [grants]: permissions({ ann: ['extra'] }) }],
    )
    const body = await told(number, head, 'Held once merged, until approved')
    expect(block(body, 'Warnings')).toEqual([
      expect.stringContaining(
        'nothing is added before what is held is approved: manifests/permissions.yaml:4:15 agents.ann.servers[0]: unknown server "extra"',
      ),
    ])
    expect(block(body, 'Plan, at once')).toEqual(['0 to build, 0 to replace, 0 to remove'])
  })

  test('is of the merge that git makes, and says that one which follows a rename needs a signature itself', async () => {
    const lines = 'line\n'.repeat(20)
    await desk.moveMain({ 'servers/old/main.ts': lines })
    await desk.inspect()
    const { head, number } = await propose(['dev', { 'servers/old/main.ts': `${lines}more\n` }])
    await told(number, head)
    await keys.sign(desk.stage.work, 'dev')
    const accepted = desk.accepted
    await desk.moveMain({ 'servers/old/main.ts': null, 'servers/new/main.ts': lines })
    desk.accepted = accepted
    const body = await told(number, head, 'servers/new/main.ts')
    expect(body).toContain('servers/new/main.ts stays absent, as in')
    expect(body).toContain("the merge does more there than git's own merge and is not signed by an allowed signer")
  })
})

describe('the plan of a pull request', () => {
  const planned = 'prune: { most: 0% }\n'

  test('holds a removal until a commit of its own approves it', async () => {
    await desk.moveMain({ 'manifests/gateway.yaml': planned, 'manifests/servers/third.yaml': imageServer('f') })
    await desk.inspect()
    const gone = { [notes]: null, 'manifests/servers/third.yaml': null }
    const { branch, head, number } = await propose([undefined, gone])
    const body = await told(number, head, 'Held once merged, until approved')
    expect(block(body, 'Held once merged, until approved')).toEqual([
      expect.stringContaining('! removing 2 of 3 servers: notes, third'),
    ])
    expect(block(body, 'Plan, at once')).toEqual(['0 to build, 0 to replace, 0 to remove'])
    const { work } = desk.stage
    await work.git('commit', '--quiet', '--allow-empty', '-m', `Approve\n\nGateway-Approve: ${planOf(body)}`)
    await desk.stage.push(branch)
    const approved = await told(number, await work.git('rev-parse', 'HEAD'))
    expect(approved).not.toContain('Held')
    expect(block(approved, 'Plan')).toContain('0 to build, 0 to replace, 2 to remove')
  })

  test('is restrained by nothing where the last applied commit is lost', async () => {
    await desk.moveMain({ 'manifests/gateway.yaml': planned })
    desk.accepted = 'f'.repeat(40)
    await desk.inspect()
    const { head, number } = await propose([undefined, { [notes]: null, [outline]: null, [grants]: 'agents: {}\n' }])
    const body = await told(number, head, '**Valid**')
    expect(body).not.toContain('Held')
    expect(block(body, 'Plan')).toContain('0 to build, 0 to replace, 2 to remove, 1 revoked')
  })

  test('says that what waits for others on the branch waits on', async () => {
    await desk.moveMain({ 'manifests/gateway.yaml': 'governance: { approvals: 1 }\n' })
    const accepted = desk.accepted
    await desk.moveMain({ [grants]: permissions({ ann: ['outline', 'notes'] }) })
    desk.accepted = accepted
    const because = 'pull request 7 needs 1 more approval'
    desk.footing = { ...desk.footing, approvals: 1, consent: { given: false, because } }
    await desk.inspect()
    const { head, number } = await propose([undefined, { [outline]: imageServer('c') }])
    const body = await told(number, head, because)
    expect(block(body, 'Held once merged, until approved')).toEqual([expect.stringContaining('! ann gains notes')])
    expect(body).toContain('Nobody gains or loses access.')
    expect(block(body, 'Plan, at once')).toEqual([
      expect.stringContaining('+/- outline'),
      '0 to build, 1 to replace, 0 to remove',
    ])
  })
})

test('gives nothing back in a plan that a commit has taken away since the last one was applied whole', async () => {
  const governed = { ...base, 'manifests/gateway.yaml': 'governance: { approvals: 1 }\n' }
  const compiled = async (agents: Readonly<Record<string, readonly string[]>>, commit: string) =>
    compile(treeOf({ ...governed, [grants]: permissions(agents) }, commit))
  const accepted = await compiled({ ann: ['outline'], bob: ['notes'] }, 'a'.repeat(40))
  const back = await compiled({ ann: ['outline'], bob: ['notes'] }, 'c'.repeat(40))
  const tip = await compiled({ ann: ['outline'], bob: ['notes'] }, 'b'.repeat(40))
  const reading = (whole: Compiled) => ({ whole, trusted: whole, held: [], lineage: { rewound: false, approves: [] } })
  const readings = { merged: reading(back), tip: reading(tip), accepted }
  const no = { given: false, because: 'nobody has approved' } as const
  const bar = { approved: [], isSigned: false, known: new Map(), consent: { branch: no, merged: no } }
  const heldBy = (left: Desired['agents'] | undefined) => {
    const preview = previewOf(readings, { ...bar, left })
    return preview.kind === 'valid' ? preview.held : preview.errors
  }
  expect(heldBy(undefined)).toEqual([])
  const { bob: _, ...left } = accepted.ok ? accepted.desired.agents : {}
  expect(heldBy(left)).toEqual([expect.stringMatching(/^bob gains notes \(nobody has approved/)])
})

test('leaves no git behind when it is no longer waited for', async () => {
  await using repository = await createRepository()
  const [old, head] = [await repository.publish(base), await repository.publish({ [outline]: imageServer('c') })]
  const bin = await mkdtemp(join(tmpdir(), 'bin-'))
  const started = join(bin, 'started')
  const slow = `#!/bin/sh\ncase "$1" in log) echo $$ > ${started}; exec sleep 300;; esac\nPATH=${process.env.PATH} exec git "$@"\n`
  await writeFile(join(bin, 'git'), slow, { mode: 0o755 })
  const giveUp = new AbortController()
  const place = { folder: repository.bare, path: '', inherited: { PATH: `${bin}:${process.env.PATH}` } }
  const asked = { ...place, merged: head, tip: old, accepted: old, approved: [], signers: keys.folder }
  const answer = compileApart(asked, giveUp.signal)
  const pid = await until('git runs', async () => Number(await readFile(started, 'utf8').catch(() => '')) || undefined)
  giveUp.abort(new Error('enough'))
  await expect(answer).rejects.toThrow('enough')
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  await rm(bin, { recursive: true })
})
