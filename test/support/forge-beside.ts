import { randomBytes } from 'node:crypto'
import { connect, createServer, type Server } from 'node:net'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Comment, Posted } from '../../controller/forge/answers.ts'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { openFixtureForge } from './forge.ts'
import { openStage, type Person, type Stage, type StageOptions } from './forge-stage.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { portOf } from './port.ts'
import type { Change } from './repository.ts'
import { until } from './until.ts'

/**
 * A gateway beside a forge, as an operator has it. The forge is the fixture; or a real Forgejo 15, where the environment names one
 * (a suite makes five accounts and one repository there, with names that end with six hex digits, and removes them):
 *
 *   FORGEJO_URL      its address, as this machine reaches it, for the API and for git
 *   FORGEJO_TOKEN    a token of an administrator of the site, with the scope `write:admin` (or `all`)
 *   FORGEJO_CALLS    this machine's address as the forge reaches it; default 127.0.0.1
 *
 * Its app.ini: `[webhook] ALLOWED_HOST_LIST` names that address (`loopback` for the default), and `[service]
 * ENABLE_BASIC_AUTHENTICATION` is on, as it is by default: tokens of the accounts are made by their passwords.
 */
export interface Beside extends AsyncDisposable {
  readonly stage: Stage
  /** The forge as the gateway's own token shows it. */
  readonly forge: Forge
  readonly gateway: Gateway
  /** What signs deliveries; the gateway knows another beside it. */
  readonly secret: string
  /** Has the forge announce everything to the gateway; gives the webhook's number. */
  announce(): Promise<number>
  /** Pushes what the work tree is at as a branch, and asks for its merge. */
  propose(branch: string, as?: Person): Promise<number>
  /** Asks for a merge as soon as the forge knows whether it can be done; gives what it says. */
  merge(number: number, more?: object): Promise<{ readonly status: number; readonly message: string }>
  /** Merges, and gives the commit that it became. */
  merged(number: number): Promise<string>
  /** Waits until the forge shows all of these of a commit, `context` → `state`; gives all that it shows. */
  becomesShown(commit: string, rows: Readonly<Record<string, string>>): Promise<readonly Posted[]>
  /** Waits until a comment of the gateway's says so, and gives all that are there. */
  becomesSaid(number: number, text: string): Promise<readonly Comment[]>
}

/** What people are told to read more at. */
export const page = 'https://gateway.example'

const minutes = 60_000
const limit = () => AbortSignal.timeout(30_000)
const Numbered = z.object({ number: z.number() })
const Told = z.object({ message: z.string() })

async function openSite(): Promise<StageOptions & AsyncDisposable> {
  const { FORGEJO_URL: url, FORGEJO_TOKEN: adminToken } = process.env
  if (url === undefined) return openFixtureForge()
  if (adminToken === undefined) throw new Error('FORGEJO_TOKEN: not given beside FORGEJO_URL')
  return { url: url.replace(/\/$/, ''), adminToken, [Symbol.asyncDispose]: async () => {} }
}

/** Commits the files as the branch's first, and starts a gateway on it. */
export async function openBeside(
  files: Readonly<Record<string, Change>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Beside> {
  await using opened = new AsyncDisposableStack()
  const site = opened.use(await openSite())
  const stage = opened.use(await openStage(site))
  const line = { url: site.url, token: stage.bot.token, repository: stage.repository, inherited: {} }
  const forge = opened.use(openForge(line))
  const secret = randomBytes(24).toString('hex')
  await stage.work.commit(files)
  await stage.push('main', stage.owner)
  const gateway = opened.use(
    await startGateway('process', {
      GATEWAY_REPO: stage.url,
      GATEWAY_GIT_TOKEN: stage.bot.token,
      GATEWAY_FORGE_URL: site.url,
      GATEWAY_FORGE_TOKEN: stage.bot.token,
      GATEWAY_WEBHOOK_SECRET: `another,${secret}`,
      GATEWAY_STATUS_URL: page,
      ...env,
    }),
  )
  const relay = await openRelay(Number(new URL(gateway.face).port))
  opened.defer(() => void relay.close())
  const all = opened.move()
  return {
    ...{ stage, forge, gateway, secret },
    ...createVerbs(stage, forge),
    announce: () => announce(stage, { secret, port: portOf(relay) }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Lets a forge on another machine reach what listens on loopback. */
async function openRelay(port: number): Promise<Server> {
  const relay = createServer((socket) => {
    const inner = connect(port, '127.0.0.1')
    socket.on('error', () => inner.destroy()).pipe(inner)
    inner.on('error', () => socket.destroy()).pipe(socket)
  })
  const host = process.env.FORGEJO_CALLS === undefined ? '127.0.0.1' : '0.0.0.0'
  await new Promise<void>((done) => relay.listen(0, host, done))
  return relay
}

async function announce(stage: Stage, { secret, port }: { readonly secret: string; readonly port: number }) {
  const url = `http://${process.env.FORGEJO_CALLS ?? '127.0.0.1'}:${port}/webhook/forgejo`
  const events = ['push', 'delete', 'pull_request_only', 'pull_request_sync', 'pull_request_review']
  const hook = { type: 'forgejo', active: true, branch_filter: '*', events }
  const config = { url, content_type: 'json', secret }
  const { body } = await stage.owner.ask('POST', `${stage.at}/hooks`, { ...hook, config }, 201)
  return z.object({ id: z.number() }).parse(body).id
}

function createVerbs(stage: Stage, forge: Forge) {
  const merge: Beside['merge'] = (number, more = {}) =>
    until('the forge knows whether it can be merged', async () => {
      const how = { Do: 'merge', ...more }
      const { status, body } = await stage.alice.ask('POST', `${stage.at}/pulls/${number}/merge`, how)
      const message = Told.safeParse(body).data?.message ?? ''
      return message !== 'Please try again later' && { status, message }
    })
  return {
    async propose(branch: string, as: Person = stage.alice) {
      await stage.push(branch, as)
      const asked = { title: 'Change', head: branch, base: 'main' }
      return Numbered.parse((await as.ask('POST', `${stage.at}/pulls`, asked, 201)).body).number
    },
    merge,
    async merged(number: number) {
      expect(await merge(number)).toMatchObject({ status: 200 })
      return (await forge.pull(number, limit()))?.mergeCommit ?? ''
    },
    async becomesShown(commit: string, rows: Readonly<Record<string, string>>) {
      const shown = async () =>
        Object.fromEntries((await forge.statuses(commit, limit())).map(({ context, state }) => [context, state]))
      await expect.poll(shown, { timeout: minutes, interval: 200 }).toMatchObject(rows)
      return forge.statuses(commit, limit())
    },
    becomesSaid: (number: number, text: string) =>
      until(
        `a comment says ${text}`,
        async () => {
          const all = await forge.comments(number, limit())
          return all.some(({ author, body }) => author === stage.bot.login && body.includes(text)) && all
        },
        minutes,
      ),
  } satisfies Partial<Beside>
}
