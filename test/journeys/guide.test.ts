import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { checkoutFiles } from '../support/checkout.ts'
import { callers } from '../support/clients.ts'
import { type Beside, openBeside } from '../support/forge-beside.ts'
import { testToken } from '../support/gateway.ts'
import { suite } from '../support/machine.ts'
import { type Page, readPage } from '../support/page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const agent = testToken()
const minutes = 60_000

/** The servers of the page, in its order: the chapter that writes each, what its commands print, and calls with their answers. */
const servers = {
  dice: {
    chapter: 'In TypeScript',
    prints: /"text":"[1-6] \+ [1-6] = \d+"/,
    calls: [
      ['roll', { dice: '3d1' }, '1 + 1 + 1 = 3'],
      ['roll', { dice: 'two' }, '"two" is no dice: give 1 to 99 of them with 1 to 999 sides, as 2d6'],
    ],
  },
  words: {
    chapter: 'In Python',
    prints: /^$/,
    calls: [
      ['count_words', { text: 'grüße an alle' }, '3 words, 13 characters'],
      ['count_words', {}, 'text is missing: give the text to count'],
    ],
  },
  everything: {
    chapter: 'An existing stdio server',
    prints: /^\n*(added|up to date)/,
    calls: [
      ['echo', { message: 'grüße 😀' }, 'Echo: grüße 😀'],
      ['get-sum', { a: 2, b: 40 }, 'The sum of 2 and 40 is 42.'],
    ],
  },
} as const
const names = ['dice', 'words', 'everything'] as const satisfies readonly (keyof typeof servers)[]
type Name = (typeof names)[number]

suite('docs/add-a-server.md', ['docker', 'product', 'tools'], () => {
  let page: Page
  let beside: Beside

  beforeAll(async () => {
    page = await readPage('add-a-server.md')
    const ours = await checkoutFiles(
      'package.json',
      '.gitignore',
      '.dockerignore',
      'controller',
      'manifests',
      'servers/kit',
    )
    const others = Object.keys(ours).filter((path) => path.startsWith('manifests/servers/'))
    for (const path of others) delete ours[path]
    const permissions = `agents:\n  agent-a:\n    token_hash: "${agent.hash}"\n    servers: []\n`
    const files = { ...ours, 'manifests/permissions.yaml': permissions }
    beside = await openBeside(files, { GATEWAY_RUNTIME: 'docker' })
    const { work, alice } = beside.stage
    await symlink(join(root, 'node_modules'), join(work.work, 'node_modules'))
    await work.git('remote', 'add', 'origin', alice.remote)
    for (const [key, value] of [
      ['name', 'Test'],
      ['email', 'test@example.invalid'],
    ])
      await work.git('config', `user.${key}`, `${value}`)
    await beside.announce()
  }, 5 * minutes)
  afterAll(() => beside?.[Symbol.asyncDispose](), 2 * minutes)

  /** Writes and runs all that a chapter shows, as its reader would; gives what the commands print. */
  async function follow(chapter: string, server: Name): Promise<string> {
    const printed: string[] = []
    for (const block of page.chapter(chapter))
      if (block.kind === 'file') await write(block.path, block.text)
      else if (block.kind === 'commands') printed.push(await enter(block.text, server))
    return printed.join('')
  }

  async function write(path: string, text: string): Promise<void> {
    const file = join(beside.stage.work.work, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }

  async function enter(commands: string, server: Name): Promise<string> {
    const { gateway, stage } = beside
    const given = { SERVER: server, STATUS: gateway.face, GATEWAY: gateway.endpoint, TOKEN: agent.token }
    const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', ...given }
    return (await promisify(execFile)('sh', ['-euc', commands], { cwd: stage.work.work, env })).stdout
  }

  /** The page shows the first server's grant, and cannot know the hash. */
  async function grant(server: Name): Promise<void> {
    const [shown] = page.chapter('Grant it')
    const granted = names.slice(0, names.indexOf(server) + 1).map((name) => `      - ${name}\n`)
    const text = shown?.text.replace('sha256:…', agent.hash).replace('      - dice\n', granted.join(''))
    await write('manifests/permissions.yaml', text ?? '')
  }

  test('lists the packages that servers over the kit have', async () => {
    const shape = z.object({ dependencies: z.record(z.string(), z.string()) })
    const model = await readFile(join(root, 'servers/5etools/package.json'), 'utf8')
    const [shown] = page.chapter('In TypeScript')
    expect(shape.parse(JSON.parse(shown?.text ?? ''))).toEqual(shape.parse(JSON.parse(model)))
  })

  test.for(names)('%s is written, proposed and merged', { timeout: 5 * minutes }, async (server) => {
    const { stage, becomesShown, becomesSaid } = beside
    const { chapter, prints } = servers[server]
    await follow('Add a server', server)
    expect(await follow(chapter, server)).toMatch(prints)
    await grant(server)
    const [look, answer, push] = page.chapter('Open the pull request')
    const looked = await enter(look?.text ?? '', server)
    expect(looked).toContain(server === 'dice' ? answer?.text : `+   ${server}`)
    await enter(push?.text ?? '', server)
    const number = await beside.propose(`add-${server}`)
    await becomesShown(await stage.work.git('rev-parse', 'HEAD'), { 'gateway/validate': 'success' })
    await becomesSaid(number, `+ agent-a gains ${server}`)
    await beside.merged(number)
  })

  test.for(names)('%s is deployed, and called by both clients', { timeout: 10 * minutes }, async (server) => {
    const { gateway, stage } = beside
    await stage.work.git('fetch', '--quiet')
    await gateway.becomes(await stage.work.git('rev-parse', 'origin/main'))
    expect(await follow('Once it is merged', server)).toMatch(/"phase":"applied".*"tools": ?\[/s)
    for (const kind of ['v1', 'v2'] as const) {
      await using caller = await callers[kind](`${gateway.endpoint}/mcp/${server}`, agent.token)
      for (const [tool, args, answer] of servers[server].calls)
        expect(await caller.call(tool, args).catch((error: Error) => error.message)).toBe(answer)
    }
  })
})
