import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { z } from 'zod'
import { CommitStatus } from '#manifests/status.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { post } from '../support/clients.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { testToken } from '../support/gateway.ts'
import { serveGit } from '../support/git-server.ts'
import { type Load, startLoad } from '../support/load.ts'
import { freePort } from '../support/port.ts'
import { type Change, createRepository, type Repository } from '../support/repository.ts'
import { sayServer } from '../support/say.ts'
import { addressForContainers, createStack, type Stack } from '../support/stack.ts'
import { until } from '../support/until.ts'

const Said = z.object({ result: z.object({ content: z.tuple([z.object({ text: z.string() })]) }) })
const minutes = 60_000
const final = new Set(['applied', 'degraded', 'rejected'])

/** What runs of the instance. */
export interface Unit {
  readonly id: string
  readonly role: string
  readonly server: string | undefined
  readonly image: string
}

type Files = Readonly<Record<string, Change>>

/** A gateway as `docker compose` runs it, from a checkout, on a repository. Disposing removes all of it. */
export interface Composed extends AsyncDisposable {
  readonly instance: string
  readonly checkout: Repository
  readonly repository: Repository
  /** Folder of the secrets file. */
  readonly secrets: string
  /** The status page. */
  readonly face: string
  readonly stack: Stack
  /** Another stack from the same checkout, of the same instance. */
  stackOf(project: string, state: string, port: number): Promise<Stack>
  /** What a server says, to whoever has this token, after `ms`. */
  say(server: string, token: string, ms?: number): Promise<string>
  /** Calls it again and again, until it is asked how that went. */
  startCalls(server: string, token: string): Load
  /** Waits for a commit's final phase, told by whichever controller answers. */
  becomes(commit: string): Promise<CommitStatus>
  units(): Promise<readonly Unit[]>
}

/** `sources` are the checkout's files, `files` the repository's beside the server `servers/say`. The stack is not up yet. */
export async function openComposed(sources: Files, files: Files, lines: readonly string[] = []): Promise<Composed> {
  await using opened = new AsyncDisposableStack()
  const instance = testInstance()
  const checkout = opened.use(await createRepository())
  await checkout.commit(sources)
  const repository = opened.use(await createRepository())
  await repository.publish({
    'manifests/servers/plain.yaml': 'description: says nothing\nbuild: servers/say\n',
    'servers/say/Dockerfile': sayServer.Dockerfile,
    'servers/say/main.mjs': sayServer['main.mjs'],
    ...files,
  })
  const git = await serveGit(repository.bare, { token: testToken().token, host: addressForContainers() })
  opened.use(git)
  const secrets = await mkdtemp(join(tmpdir(), 'gateway-secrets-'))
  opened.defer(() => rm(secrets, { recursive: true, force: true }))
  const [agents, people] = [await freePort(), await freePort()]
  const env = [
    `GATEWAY_REPO=${git.url}`,
    `GATEWAY_GIT_TOKEN=${git.token}`,
    `GATEWAY_INSTANCE=${instance}`,
    `GATEWAY_PROXY_LISTEN=127.0.0.1:${agents}`,
    'GATEWAY_POLL=*/2 * * * * *',
    ...lines,
  ]
  await writeFile(join(checkout.work, 'gateway.env'), env.map((line) => `${line}\n`).join(''))
  const stackOf: Composed['stackOf'] = (project, state, port) => {
    const instead = { 'gateway-state': state, 'gateway-run': `${instance}-run`, '/opt/gateway': secrets }
    return createStack({ folder: checkout.work, project, instead, port })
  }
  const stack = opened.use(await stackOf(instance, `${instance}-state`, people))
  opened.defer(() => removeInstance(instance))
  opened.defer(() => stack.down())
  const all = opened.move()
  return {
    ...{ instance, checkout, repository, secrets, face: `http://127.0.0.1:${people}`, stack, stackOf },
    ...createVerbs(instance, { agents, people }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

function createVerbs(instance: string, { agents, people }: { readonly agents: number; readonly people: number }) {
  const say: Composed['say'] = async (server, token, ms = 0) => {
    const params = { name: 'say', arguments: { ms } }
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params }
    const answer = await post(`http://127.0.0.1:${agents}/mcp/${server}`, token, message)
    const said = Said.safeParse(answer.body)
    if (!said.success) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
    return said.data.result.content[0].text
  }
  return {
    say,
    startCalls: (server: string, token: string) => startLoad(async () => void (await say(server, token)), 2),
    becomes: (commit: string) =>
      until(
        `${commit} has a final phase`,
        async () => {
          const answer = await fetch(`http://127.0.0.1:${people}/commits/${commit}?wait=10`).catch(() => undefined)
          const body = answer?.status === 200 ? await answer.json().catch(() => undefined) : undefined
          const status = CommitStatus.safeParse(body).data
          return status !== undefined && final.has(status.phase) && status
        },
        8 * minutes,
      ),
    async units() {
      const all = await openEngine().containers(labelsOf({ instance }), AbortSignal.timeout(minutes))
      return all
        .filter(({ State }) => State.Status === 'running')
        .map(({ Id, Image, Config: { Labels } }) => ({
          id: Id,
          role: mark(Labels, 'role') ?? '',
          server: mark(Labels, 'server'),
          image: Image,
        }))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    },
  }
}

export async function flawless(load: Load): Promise<void> {
  const { calls, failures } = await load.stop()
  expect(failures).toEqual([])
  expect(calls).toBeGreaterThan(20)
}
