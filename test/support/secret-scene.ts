import { execFile } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { watchArguments } from './argv.ts'
import { type FixtureForge, openFixtureForge } from './forge.ts'
import { openStage, type Stage } from './forge-stage.ts'
import { type Gateway, startGateway, testToken } from './gateway.ts'
import { randomSecret, randomToken } from './leaks.ts'
import { portOf } from './port.ts'
import type { Change } from './repository.ts'
import type { Runtime } from './setting.ts'
import { smallProgram, smallServer } from './small-server.ts'
import { brokenSource } from './witness.ts'

const cli = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))

/** A gateway with secrets of its own and of its servers, beside a forge, with people who are told of what breaks. */
export interface SecretScene extends AsyncDisposable {
  readonly gateway: Gateway
  readonly site: FixtureForge
  readonly stage: Stage
  /** Of an agent that may call everything. */
  readonly token: string
  /** The secrets file, and what it says. */
  readonly file: string
  readonly values: Record<string, string>
  /** Every value that a secret has ever had, by name: the gateway's own among them. */
  readonly all: Record<string, string>
  /** What people were told: addresses, headers and bodies, but for the credential that rightly goes there. */
  readonly notices: readonly string[]
  /** Argument lists of all that the controller has started. */
  readonly argv: ReadonlySet<string>
  /** Replaces the file as an editor does, after these changes; undefined takes a name out. */
  change(values: Readonly<Record<string, string | undefined>>): Promise<void>
  publish(changes: Readonly<Record<string, Change>>): Promise<string>
  /** Runs a verb of the CLI in the work tree, and gives all that it prints. */
  cli(...args: readonly string[]): Promise<string>
}

/** How the gateway is given its own secrets: as they are, or in files. */
export type Given = 'variables' | 'files'

/** Servers with what each lists of the secrets file; `loud` prints its own, `sour` says it in place of an answer. */
export const lists: Readonly<Record<string, string>> = {
  both: '[ALPHA, { KEY: BETA }, PEM]',
  one: '[ALPHA]',
  none: '[]',
  late: '[LATE]',
  loud: '[LOUD]',
  sour: '[SOUR]',
  lost: '[LOST]',
  unbuilt: '[ALPHA]',
}

/** What each server's environment has of the secrets file: its variable, and the name that it has there. */
export const gets: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  both: { ALPHA: 'ALPHA', KEY: 'BETA', PEM: 'PEM' },
  one: { ALPHA: 'ALPHA' },
  none: {},
  late: { LATE: 'LATE' },
  loud: { LOUD: 'LOUD' },
  sour: { SOUR: 'SOUR' },
  lost: { LOST: 'LOST' },
}

/** Lines of manifests beside the usual ones: `one` has a volume, so that it stops before its successor starts. */
const more: Readonly<Record<string, string>> = { one: 'volumes: ["notes:/data"]', sour: 'start: 3s' }

const programs: Readonly<Record<string, string>> = {
  loud: `${smallProgram}\nsetInterval(() => console.log('my key is ' + process.env.LOUD), 500)\n`,
  sour: smallProgram.replace(
    'const said = result === undefined',
    "const said = true ? { error: { code: -32000, message: 'refused: ' + process.env.SOUR } } : result === undefined",
  ),
}

export function server(name: string, base: string, list = lists[name] ?? '[]'): Record<string, Change> {
  const program = programs[name] === undefined ? {} : { program: programs[name] }
  const manifest = [`secrets: ${list}`, ...(more[name] === undefined ? [] : [more[name]])].join('\n')
  const files = smallServer(name, { word: name, manifest, ...program })
  const command = name === 'lost' ? '/nowhere/program' : 'node'
  const path = `manifests/servers/${name}.yaml`
  return {
    ...files,
    [path]: String(files[path]).replace('command: [node,', `command: [${command},`),
    [`servers/${name}/Dockerfile`]: `FROM ${base}\nWORKDIR /srv\nCOPY . .\n`,
  }
}

function filesOf(hash: string, base: string): Record<string, Change> {
  const broken = Object.entries(brokenSource).map(([path, content]) => [`servers/unbuilt/${path}`, content])
  return {
    'manifests/permissions.yaml': `agents:\n  alpha:\n    token_hash: "${hash}"\n    servers: ["*"]\n`,
    'manifests/gateway.yaml':
      'bake: 0s\nnotifications: { webhook: { secret: HOOK_URL }, ntfy: { secret: NTFY_URL, token: NTFY_TOKEN } }\n',
    ...Object.assign({}, ...Object.keys(lists).map((name) => server(name, base))),
    ...Object.fromEntries(broken),
  }
}

export async function openSecretScene(runtime: Runtime, base: string, given: Given): Promise<SecretScene> {
  const stack = new AsyncDisposableStack()
  try {
    return await open(runtime, { base, given }, stack)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function open(
  runtime: Runtime,
  { base, given }: { base: string; given: Given },
  stack: AsyncDisposableStack,
): Promise<SecretScene> {
  const site = stack.use(await openFixtureForge())
  const stage = stack.use(await openStage(site))
  const folder = await mkdtemp(join(tmpdir(), 'gateway-secret-scene-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const post = stack.use(await openLetterBox())
  const agent = testToken()
  const own = {
    GATEWAY_GIT_TOKEN: await stage.token(stage.bot.login, ['read:repository']),
    GATEWAY_FORGE_TOKEN: stage.bot.token,
    GATEWAY_OPERATOR_TOKEN: randomToken(),
    GATEWAY_WEBHOOK_SECRET: randomToken(),
  }
  const paths = { HOOK: randomToken(), NTFY: randomToken() }
  const lines = [randomToken(), randomToken()]
  const values: Record<string, string> = {
    ...Object.fromEntries(['ALPHA', 'BETA', 'LOUD', 'SOUR', 'LOST', 'UNUSED'].map((name) => [name, randomSecret()])),
    HOOK_URL: `${post.url}/${paths.HOOK}`,
    NTFY_URL: `${post.url}/${paths.NTFY}`,
    NTFY_TOKEN: randomToken(),
    PEM: `-----BEGIN KEY-----\n${lines.join('\n')}\n-----END KEY-----\n`,
  }
  const { HOOK_URL, NTFY_URL, ...others } = values
  const all: Record<string, string> = { ...own, ...paths, ...others, ...{ LINE: lines[0] ?? '', END: lines[1] ?? '' } }
  const file = join(folder, '.env')
  await writeFile(file, envFile(values))
  await stage.work.commit(filesOf(agent.hash, base))
  await stage.push('main', stage.owner)
  const env = {
    ...(given === 'variables' ? own : await inFiles(own, folder)),
    GATEWAY_REPO: stage.url,
    GATEWAY_FORGE_URL: site.url,
    GATEWAY_STATUS_URL: 'https://gateway.example',
    GATEWAY_SECRETS: file,
    LOG_LEVEL: 'trace',
  }
  const argv = { pid: () => process.pid as number | undefined }
  const watch = stack.use(watchArguments(() => argv.pid()))
  const gateway = stack.use(await startGateway(runtime, env))
  argv.pid = () => gateway.controller().pid
  const hook = { url: `${gateway.face}/webhook/forgejo`, content_type: 'json', secret: own.GATEWAY_WEBHOOK_SECRET }
  await stage.owner.ask(
    'POST',
    `${stage.at}/hooks`,
    { type: 'forgejo', active: true, events: ['push', 'pull_request_only'], config: hook },
    201,
  )
  return {
    gateway,
    site,
    stage,
    token: agent.token,
    file,
    values,
    all,
    notices: post.letters,
    argv: watch.seen,
    async change(changes) {
      for (const [name, value] of Object.entries(changes)) {
        if (value === undefined) delete values[name]
        else values[name] = value
        if (value !== undefined) all[`${name} of ${Object.keys(all).length}`] = value
      }
      await writeFile(`${file}.new`, envFile(values))
      await rename(`${file}.new`, file)
    },
    async publish(changes) {
      const commit = await stage.work.commit(changes)
      await stage.push('main', stage.owner)
      return commit
    },
    async cli(...args) {
      const environment = { PATH: process.env.PATH, ...env, GATEWAY_STATE: gateway.state, GATEWAY_RUNTIME: runtime }
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [cli, ...args], {
        cwd: stage.work.work,
        env: environment,
      }).catch((error: { stdout: string; stderr: string }) => error)
      return `${stdout}${stderr}`
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** No value has a single quote. */
function envFile(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join('')
}

async function inFiles(own: Readonly<Record<string, string>>, folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) {
    files[name] = ''
    files[`${name}_FILE`] = join(folder, name)
    await writeFile(join(folder, name), `${value}\n`, { mode: 0o600 })
  }
  return files
}

interface LetterBox extends AsyncDisposable {
  readonly url: string
  readonly letters: readonly string[]
}

async function openLetterBox(): Promise<LetterBox> {
  const letters: string[] = []
  const server = createServer(async (request, response) => {
    const { authorization, ...headers } = request.headers
    letters.push(`${JSON.stringify(headers)}\n${await text(request)}`)
    response.end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    letters,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
