import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { post } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { freePort } from '../support/port.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { type Figures, median, percentile, timed } from './figures.ts'

/**
 * A deployment by the controller beside `docker-compose up -d --build`, on the same seven small servers and the same engine,
 * in turns within one run. Needs Docker and a docker-compose of any version.
 */

const rounds = 3
const names = Array.from({ length: 7 }, (_, index) => `s${index}`)
const changed = 's3'
const token = testToken()
const run = promisify(execFile)

const dockerfile = 'FROM node:24-bookworm-slim\nCOPY main.mjs ./\nCMD ["node", "main.mjs"]\n'

/** The seven servers as they are built here: one of them says `word`, by its program. */
function servers(word: string): Record<string, string> {
  const files = names.map((name) => {
    const { [`manifests/servers/${name}.yaml`]: manifest, ...folder } = smallServer(name, { word: 'hello' })
    const program = `${String(folder[`servers/${name}/main.mjs`])}\n// ${name === changed ? word : ''}\n`
    return {
      [`manifests/servers/${name}.yaml`]: String(manifest),
      [`servers/${name}/Dockerfile`]: dockerfile,
      [`servers/${name}/main.mjs`]: name === changed ? program.replace('() => WORD', `() => '${word}'`) : program,
    }
  })
  return Object.assign({}, ...files)
}

function permissions(beta: boolean): string {
  const one = (name: string, hash: string, granted: string) =>
    `  ${name}:\n    token_hash: "${hash}"\n    servers: [${granted}]\n`
  return `agents:\n${one('alpha', token.hash, '"*"')}${one('beta', other.hash, beta ? changed : '')}`
}
const other = testToken()

/** What a change costs whoever calls meanwhile. */
interface Change {
  /** From the push (or the command) until the new program answers, ms. */
  readonly served: number
  readonly calls: number
  readonly failed: number
  /** Longest time between two good answers, ms. */
  readonly gap: number
}

async function watch(call: () => Promise<string>, word: string, change: () => Promise<void>): Promise<Change> {
  let last = Date.now()
  let gap = 0
  let served = 0
  let began = 0
  const load = startLoad(async () => {
    const answer = await call()
    const now = Date.now()
    gap = Math.max(gap, now - last)
    last = now
    if (began > 0 && served === 0 && answer === word) served = now - began
    await pause(2)
  })
  await pause(500)
  gap = 0
  began = Date.now()
  await change()
  const end = Date.now() + 120_000
  while (served === 0 && Date.now() < end) await pause(5)
  await pause(1_000)
  const { calls, failures } = await load.stop()
  if (served === 0) throw new Error(`${word} was never served: ${failures.at(-1)}`)
  return { served, calls, failed: failures.length, gap }
}

/** The same folders under docker-compose, each server on a port of its own. */
async function openCompose() {
  const folder = await mkdtemp(join(tmpdir(), 'bench-compose-'))
  const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const)))
  const services = names.map(
    (name) =>
      `  ${name}:\n    build: servers/${name}\n    init: true\n    environment: { PORT: "3000", HOST: 0.0.0.0, WORD: hello }\n    ports: ["127.0.0.1:${ports[name]}:3000"]\n`,
  )
  await writeFile(join(folder, 'docker-compose.yml'), `version: "3"\nservices:\n${services.join('')}`)
  const compose = (...args: readonly string[]) =>
    run('docker-compose', ['-p', `bench${process.pid}`, ...args], { cwd: folder, maxBuffer: 2 ** 26 })
  return {
    write: (files: Readonly<Record<string, string>>) => writeFiles(folder, files),
    up: () => compose('up', '-d', '--build'),
    call: () => callSmall(`http://127.0.0.1:${ports[changed]}/mcp`, '', 'word'),
    [Symbol.asyncDispose]: async () => {
      await compose('down', '--rmi', 'all', '-v', '-t', '1')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), content)
  }
}

/** Times of the halves of all passes so far, s, as the controller counts them. */
async function passes({ face }: Gateway): Promise<{ readonly count: number; readonly sum: number }> {
  const text = await (await fetch(`${face}/metrics`)).text()
  const read = (what: string) =>
    [...text.matchAll(new RegExp(`^gateway_pass_duration_seconds_${what}\\{.*\\} (.+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    )
  return { count: read('count'), sum: read('sum') }
}

/** A pass that finds nothing to do, ms: what both of its halves take, polls of a second included. */
async function idlePass(gateway: Gateway): Promise<number> {
  const before = await passes(gateway)
  await pause(10_000)
  const after = await passes(gateway)
  return ((after.sum - before.sum) / ((after.count - before.count) / 2)) * 1_000
}

/** From the webhook's delivery until what the commit says of beta's grant is so, ms. */
async function grant(gateway: Gateway, repository: Repository, granted: boolean): Promise<number> {
  await repository.publish({ 'manifests/permissions.yaml': permissions(granted) })
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'word', arguments: {} } }
  const began = performance.now()
  await gateway.deliver()
  const end = Date.now() + 30_000
  while (Date.now() < end) {
    const { status } = await post(`${gateway.endpoint}/mcp/${changed}`, other.token, call)
    if ((status === 200) === granted) return performance.now() - began
    await pause(2)
  }
  throw new Error('the grant was never enforced')
}

/** Its figures are of one kind each: the controller's, and docker-compose's where it has one. */
type Row = readonly [what: string, ours: string, theirs: string]

interface Changes {
  readonly ours: readonly Change[]
  readonly theirs: readonly Change[]
}

function rowsOf({ ours, theirs }: Changes): readonly Row[] {
  const middle = (changes: readonly Change[], key: keyof Change) => `${median(changes.map((one) => one[key]))} ms`
  const total = (changes: readonly Change[], key: 'calls' | 'failed') => changes.reduce((sum, one) => sum + one[key], 0)
  const failed = (changes: readonly Change[]) => `${total(changes, 'failed')} of ${total(changes, 'calls')}`
  return [
    ['one server changed until served', middle(ours, 'served'), middle(theirs, 'served')],
    ['failed calls during it', failed(ours), failed(theirs)],
    ['longest gap between answers', middle(ours, 'gap'), middle(theirs, 'gap')],
  ]
}

interface Stand {
  readonly repository: Repository
  readonly gateway: Gateway
  readonly compose: Awaited<ReturnType<typeof openCompose>>
}

async function changeBoth({ repository, gateway, compose }: Stand): Promise<Changes> {
  const [ours, theirs]: [Change[], Change[]] = [[], []]
  const call = () => callSmall(`${gateway.endpoint}/mcp/${changed}`, token.token, 'word')
  for (let round = 0; round < rounds; round++) {
    const word = `word${round}`
    const push = async () => {
      await repository.publish(servers(word))
      await gateway.deliver()
    }
    const up = async () => {
      await compose.write(servers(word))
      await compose.up()
    }
    ours.push(await watch(call, word, push))
    theirs.push(await watch(compose.call, word, up))
  }
  return { ours, theirs }
}

export async function deployBench(): Promise<Figures> {
  await using repository = await createRepository()
  const settings = { 'manifests/gateway.yaml': 'bake: 0s\n', 'manifests/permissions.yaml': permissions(false) }
  const first = await repository.publish({ ...servers('first'), ...settings })
  await using compose = await openCompose()
  await compose.write(servers('first'))
  await using told = new AsyncDisposableStack()
  // A poll once an hour: what is measured is the webhook.
  const environment = { GATEWAY_REPO: repository.bare, GATEWAY_POLL: '0 0 * * * *' }
  const gateway = told.use(await startGateway('docker', environment))
  const [, ourStart] = await timed(() => gateway.becomes(first))
  const [, theirStart] = await timed(compose.up)
  const changes = await changeBoth({ repository, gateway, compose })
  const grants: number[] = []
  for (let index = 0; index < 40; index++) grants.push(await grant(gateway, repository, index % 2 === 0))
  // Nothing else runs beside either while it is timed.
  await told.disposeAsync()
  const composeIdle = median([(await timed(compose.up))[1], (await timed(compose.up))[1], (await timed(compose.up))[1]])
  await using polled = await startGateway('docker', { GATEWAY_REPO: repository.bare })
  await polled.becomes(await repository.git('rev-parse', 'HEAD'))
  const idle = await idlePass(polled)
  const enforced = [0.5, 0.95].map((share) => `${Math.round(percentile(grants, share))} ms`)
  const rows: readonly Row[] = [
    ['seven servers from nothing', `${Math.round(ourStart)} ms`, `${Math.round(theirStart)} ms`],
    ...rowsOf(changes),
    ['nothing to do', `${idle.toFixed(1)} ms`, `${Math.round(composeIdle)} ms`],
    ['webhook until a grant is enforced, p50 / p95', enforced.join(' / '), '–'],
  ]
  const about =
    'Seven small servers on the same engine, in turns. A pass with nothing to do counts both of its halves, each as if the other were not.'
  return {
    tables: [{ title: 'A deployment', about, columns: ['', 'controller', 'docker-compose up -d --build'], rows }],
    ratios: { 'a pass with nothing to do beside docker-compose': idle / composeIdle },
  }
}
