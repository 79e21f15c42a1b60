import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkForgeToken } from '../../controller/doctor/forge.ts'
import { openFaultProxy } from '../support/fault-proxy.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage } from '../support/forge-stage.ts'

const bin = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))

let site: FixtureForge
let stage: Stage

beforeAll(async () => {
  site = await openFixtureForge()
  stage = await openStage(site)
  await stage.work.commit({ 'README.md': 'words' })
  await stage.push('main')
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

/** A line for each check, as the doctor prints it. */
async function examined(token: string, url = site.url): Promise<readonly string[]> {
  const source = { repo: stage.url, branch: 'main', path: '', state: '', inherited: {} }
  const checks = await checkForgeToken({ forge: { url, token, repository: stage.repository }, source, inherited: {} })
  return checks.map(({ verdict, what, is }) => `${verdict} ${what}: ${is}`)
}

const rights = () => site.repo(stage.repository).rights
const madeAt = () => `for ${stage.repository} (given when a token is made, at ${site.url}/user/settings/applications)`

/** What the program prints on a machine without a controller. */
async function printed(env: Readonly<Record<string, string>>): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), 'doctor-'))
  const own = { GATEWAY_REPO: stage.url, GATEWAY_FORGE_URL: site.url, GATEWAY_RUNTIME: 'process', GATEWAY_STATE: state }
  const options = { env: { PATH: process.env.PATH ?? '', ...own, ...env } }
  try {
    const args = [bin, 'doctor', '--state', state]
    return await promisify(execFile)(process.execPath, args, options).then(
      ({ stdout }) => stdout,
      (failed: { readonly stdout: string }) => failed.stdout,
    )
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}

describe('gateway doctor', () => {
  test('asks with both tokens, and prints neither', async () => {
    const git = await stage.token(stage.bot.login, ['read:issue'])
    const forge = await stage.token(stage.bot.login, ['write:issue', 'read:repository'])
    const lines = await printed({ GATEWAY_GIT_TOKEN: git, GATEWAY_FORGE_TOKEN: forge })
    expect(lines).toMatch(/^ok +forge comments +the token may comment$/m)
    expect(lines).toMatch(/^fail +forge statuses +POST status is forbidden .* needs the scope write:repository for /m)
    expect(lines).toMatch(/^fail +repository +.* give GATEWAY_GIT_TOKEN read access .* the scope read:repository/m)
    expect(lines).not.toContain(git)
    expect(lines).not.toContain(forge)
  })

  test('finds the smallest token enough, and changes nothing by asking', async () => {
    const { statuses, comments } = site.repo(stage.repository)
    expect(await examined(stage.bot.token)).toEqual([
      'ok forge reading: the token reads pull requests',
      'ok forge comments: the token may comment',
      'ok forge statuses: the token may post statuses',
      `warn branch: a merge into main does not need the status gateway/validate: set at ${site.url}/${stage.repository}/settings/branches`,
      `warn forge token: its user may push to and merge into main: a protection that names others alone is set at ${site.url}/${stage.repository}/settings/branches`,
    ])
    expect([statuses, comments]).toEqual([[], []])
  })

  test('names each scope that is missing, and where tokens are made', async () => {
    const [, ...writing] = await examined(await stage.token(stage.bot.login, ['read:repository']))
    expect(writing.slice(0, 2)).toEqual([
      `fail forge comments: PATCH comment is forbidden (403 "token does not have at least one of required scope(s): [write:issue]"): GATEWAY_FORGE_TOKEN needs the scope write:issue ${madeAt()}`,
      `fail forge statuses: POST status is forbidden (403 "token does not have at least one of required scope(s): [write:repository]"): GATEWAY_FORGE_TOKEN needs the scope write:repository ${madeAt()}`,
    ])
    expect(await examined(await stage.token(stage.bot.login, ['write:issue']))).toEqual([
      expect.stringContaining(`GATEWAY_FORGE_TOKEN needs the scope read:repository ${madeAt()}`),
    ])
  })

  test('names the right that the user lacks, on which repository, and where it is given', async () => {
    rights().set(stage.bot.login, 'read')
    const found = await examined(stage.bot.token)
    rights().set(stage.bot.login, 'write')
    expect(found.filter((line) => line.startsWith('fail'))).toEqual([
      `fail forge statuses: POST status is forbidden (403 "user should have a permission to write to a repo"): the user of GATEWAY_FORGE_TOKEN needs the right to write ${stage.repository} (given at ${site.url}/${stage.repository}/settings/collaboration)`,
    ])
  })

  test('says in one line that the token is unknown, that it sees no such repository, or that nobody answers', async () => {
    expect(await examined('unknown')).toEqual([expect.stringMatching(/^fail forge reading: the forge does not know/)])
    rights().delete(stage.bot.login)
    expect(await examined(stage.bot.token)).toEqual([
      expect.stringMatching(/^fail forge reading: GET pulls: not found .* may not see it$/),
    ])
    rights().set(stage.bot.login, 'write')
    await using way = await openFaultProxy(site.url)
    way.fault = { kind: 'answer', status: 502 }
    expect(await examined(stage.bot.token, way.url)).toEqual([
      'warn forge reading: the forge answers GET pulls with 502',
    ])
  })

  test('is content with a branch that heeds the gateway and lets others alone change it', async () => {
    const checks = { enable_status_check: true, status_check_contexts: ['gateway/*'] }
    const merges = { enable_merge_whitelist: true, merge_whitelist_usernames: [stage.alice.login] }
    const rule = { rule_name: 'main', enable_push: false, ...checks, ...merges }
    await stage.owner.ask('POST', `${stage.at}/branch_protections`, rule, 201)
    expect((await examined(stage.bot.token)).slice(3)).toEqual([
      'ok branch: a merge into main needs gateway/validate',
      'ok forge token: its user may not change main',
    ])
  })
})
