import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { failProgram, type Program, startProgram } from '../support/program.ts'
import { sharedProgram } from '../support/shared-program.ts'

const servers = fileURLToPath(new URL('../../servers', import.meta.url))
const main = join(servers, '5etools/main.ts')

const tools = [
  'search',
  'get_entry',
  'get_rule',
  'search_spells',
  'search_monsters',
  'search_items',
  'list_sources',
  'roll_table',
]

describe('5etools with its starter set', () => {
  const started = sharedProgram(main)
  let client: McpClient
  beforeAll(async () => {
    client = await connectCurl(`${started.url()}/mcp`)
  })
  const text = async (name: string, args: Readonly<Record<string, unknown>> = {}) => {
    const answer = await client.callTool(name, args)
    expect(answer).toMatchObject({ isError: false })
    return answer.text
  }
  const fault = async (name: string, args: Readonly<Record<string, unknown>> = {}) => {
    const answer = await client.callTool(name, args)
    expect(answer).toMatchObject({ isError: true })
    return answer.text
  }
  const names = (table: string) =>
    table
      .split('\n')
      .slice(2)
      .map((row) => row.split(' | ')[0]?.replace('| ', ''))

  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${started.url()}/mcp`)
    expect((await agent.listTools()).toSorted()).toEqual(tools.toSorted())
    const { text: answer, isError } = await agent.callTool('get_entry', { kind: 'spell', name: 'Fireball' })
    expect(isError).toBe(false)
    expect(answer).toContain('8d6 fire damage')
    await agent.close()
  })

  test('is ready', async () => {
    expect((await fetch(`${started.url()}/readyz`)).status).toBe(200)
  })

  test('finds the name itself before names that hold it', async () => {
    expect(names(await text('search', { query: 'shield' })).slice(0, 2)).toEqual(['Shield', 'Shield'])
    expect(names(await text('search', { query: 'fire' }))[0]).toBe('Fire Bolt')
  })

  test('finds by words of the text', async () => {
    expect(names(await text('search', { query: 'phylactery' }))).toEqual(['Lich'])
  })

  test('narrows a search by kind, source, rules and number', async () => {
    expect(
      await text('search', { query: 'shield', kind: 'item', source: 'cgs', edition: '2014', limit: '1' }),
    ).toContain('| item | CGS |')
    expect(await fault('search', { query: 'shield', edition: '2024' })).toContain('nothing found')
  })

  test.each([
    'AND ( "',
    '* NEAR NOT',
    'a" OR name:"b',
    '{col}: ^x',
    "'; DROP TABLE text",
    'x'.repeat(500),
    '💥🔥',
    '-',
  ])('takes %j for words', async (query) => {
    const { text: answer } = await client.callTool('search', { query })
    expect(answer).toMatch(/^\| Name|^nothing found/)
  })

  test('refuses a query that is empty or huge', async () => {
    expect(await fault('search', { query: '' })).toContain('give a name or a few words')
    expect(await fault('search', { query: 'x'.repeat(4096) })).toContain('at most 500 characters')
    expect(await fault('search')).toContain('query')
  })

  test('reads a monster with all its parts', async () => {
    const lich = await text('get_entry', { kind: 'Monster', name: '  lich ' })
    for (const part of [
      'any evil alignment',
      '135 (18d8 + 54)',
      '20 (+5)',
      'Level 3 (3 slots): counterspell, fireball',
    ])
      expect(lich).toContain(part)
    expect(lich).toContain('Immune to:** poison, bludgeoning, piercing, slashing from nonmagical attacks')
    expect(lich).toContain('monster from Commons Gateway Starter Set')
  })

  test('reads a monster that is written as a change of another', async () => {
    const wolf = await text('get_entry', { kind: 'monster', name: 'Scarred Wolf' })
    expect(wolf).toContain('27 (5d8 + 5)')
    expect(wolf).toContain('***Pack Tactics.*** The scarred wolf attacks')
    expect(wolf).toContain('Lone Survivor')
  })

  test("gives 5etools' own object on demand", async () => {
    const json = await text('get_entry', { kind: 'spell', name: 'wish', format: 'json' })
    expect(JSON.parse(json)).toMatchObject({ name: 'Wish', level: 9 })
  })

  test('names what is spelled alike when nothing has that name', async () => {
    expect(await fault('get_entry', { kind: 'spell', name: 'fire ball' })).toContain('did you mean "Fireball"')
    expect(await fault('get_entry', { kind: 'item', name: 'fireball' })).toContain('no item "fireball"')
    expect(await fault('get_entry', { kind: 'spell', name: 'fireball', source: 'PHB' })).toContain('in PHB')
    expect(await fault('get_entry', { kind: 'sandwich', name: 'club' })).toContain('expected one of "spell"')
    expect(await fault('get_entry', { kind: 'spell', name: 'constructor' })).toContain('no spell')
  })

  test('chooses spells', async () => {
    for (const school of ['evocation', 'V', 'v', 'evo'])
      expect(names(await text('search_spells', { school, class: 'WIZARD' }))).toEqual([
        'Fire Bolt',
        'Light',
        'Fireball',
      ])
    expect(names(await text('search_spells', { ritual: 'true' }))).toEqual(['Detect Magic'])
    expect(names(await text('search_spells', { concentration: true, level: '2' }))).toEqual(['Hold Person'])
    expect(names(await text('search_spells', { level: 0, query: 'bright' }))).toEqual(['Light'])
  })

  test('says what is wrong with a choice of spells', async () => {
    expect(await fault('search_spells', { level: 10 })).toContain('level')
    expect(await fault('search_spells', { level: 'two' })).toContain('level')
    expect(await fault('search_spells', { school: 'cooking' })).toContain('evocation (V)')
    expect(await fault('search_spells', { school: 'constructor' })).toContain('no school')
    expect(await fault('search_spells', { class: 'baker' })).toContain('no spell is all of that')
    expect(await fault('search_spells', { ritual: 'maybe' })).toContain('ritual')
  })

  test('chooses monsters', async () => {
    const small = ['Goblin', 'Wolf', 'Zombie', 'Scarred Wolf']
    expect(names(await text('search_monsters', { cr_min: '1/4', cr_max: 0.5 }))).toEqual(small)
    expect(names(await text('search_monsters', { cr_max: '0' }))).toEqual(['Commoner'])
    expect(names(await text('search_monsters', { type: 'Dragon', size: 'huge' }))).toEqual(['Adult Red Dragon'])
    expect(names(await text('search_monsters', { environment: 'swamp' }))).toEqual(['Zombie'])
  })

  test('says what is wrong with a choice of monsters', async () => {
    for (const cr_min of ['abc', '1/0', '-1', '1/4/2', ' '])
      expect(await fault('search_monsters', { cr_min })).toContain('cr_min')
    expect(await fault('search_monsters', { cr_min: 5, cr_max: 1 })).toContain('more than cr_max')
    expect(await fault('search_monsters', { type: 'sandwich' })).toContain('no monster')
  })

  test('chooses items', async () => {
    expect(names(await text('search_items', { rarity: 'Rare', attunement: 'true' }))).toEqual(['Flame Tongue'])
    expect(names(await text('search_items', { type: 'wondrous' }))).toEqual(['Bag of Holding'])
    expect(await fault('search_items', { rarity: 'shiny' })).toContain('no item')
  })

  test('looks up rules by name and by what they speak of', async () => {
    expect(await text('get_rule', { topic: 'grappled' })).toMatch(/^## Grappled/)
    expect(await text('get_rule', { topic: 'opportunity attack' })).toMatch(/^## Opportunity Attacks/)
    expect(await text('get_rule', { topic: 'hit dice' })).toMatch(/^## Resting/)
    expect(await fault('get_rule', { topic: 'unicycle' })).toContain('no rule about "unicycle"')
  })

  test('lists its sources with the attribution that the licence asks for', async () => {
    const sources = await text('list_sources')
    expect(sources).toContain('| CGS | Commons Gateway Starter Set')
    expect(sources).toContain('condition 15')
    expect(sources).toContain('System Reference Document 5.1 ("SRD 5.1") by Wizards of the Coast LLC')
    expect(sources).toContain('https://creativecommons.org/licenses/by/4.0/legalcode')
    expect(sources).not.toContain('Not loaded')
  })

  test('rolls on a table, the same for the same seed', async () => {
    const rolls = await Promise.all(
      [1, 1, '1'].map((seed) => text('roll_table', { table: 'Weather on the Road', seed })),
    )
    expect(new Set(rolls).size).toBe(1)
    expect(rolls[0]).toMatch(/^Weather on the Road \(CGS\): \d+ \(of 1–20\): \w/)
    expect(await text('roll_table', { table: 'pocket' })).toMatch(/\(of 1–6\): A|Half/)
    expect(await fault('roll_table', { table: 'nowhere at all' })).toContain('no table')
  })
})

describe('5etools as a program', () => {
  const answers = async ({ url }: Program) => (await connectCurl(`${url}/mcp`)).callTool('list_sources')

  test('starts from a tree where its packages lie beside it and the kit', async () => {
    const tree = mkdtempSync(join(tmpdir(), 'tree-'))
    onTestFinished(() => rmSync(tree, { recursive: true, force: true }))
    const filter = (path: string) => !path.includes('node_modules')
    for (const name of ['5etools', 'kit'])
      cpSync(join(servers, name), join(tree, 'servers', name), { recursive: true, filter })
    symlinkSync(join(servers, '5etools/node_modules'), join(tree, 'servers/node_modules'))
    const program = await startProgram(join(tree, 'servers/5etools/main.ts'))
    expect(await answers(program)).toMatchObject({ isError: false })
  })

  test('becomes ready when its data arrives', async () => {
    const data = mkdtempSync(join(tmpdir(), 'data-'))
    onTestFinished(() => rmSync(data, { recursive: true, force: true }))
    const program = await startProgram(main, { FIVETOOLS_DATA_DIR: data })
    const statuses = async () => {
      const answers = await Promise.all([1, 2, 3].map(() => fetch(`${program.url}/readyz`)))
      return answers.map(({ status }) => status)
    }
    expect(await statuses()).toEqual([503, 503, 503])
    cpSync(join(servers, '5etools/data'), join(data, 'data'), { recursive: true })
    expect(await statuses()).toEqual([200, 200, 200])
    expect(await answers(program)).toMatchObject({ isError: false })
  })

  test('says in one line what is wrong in its environment', async () => {
    const { code, lines } = await failProgram(main, { FIVETOOLS_EDITION: '3.5' })
    expect(code).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual(['FIVETOOLS_EDITION="3.5": give 2014, 2024 or any'])
  })

  test('lives without data, and says that it is not ready', async () => {
    const program = await startProgram(main, { FIVETOOLS_DATA_DIR: '/nonexistent' })
    expect((await fetch(`${program.url}/healthz`)).status).toBe(200)
    const ready = await fetch(`${program.url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.text()).toContain('/nonexistent: no such folder')
    expect(await answers(program)).toMatchObject({ isError: true })
    expect((await fetch(`${program.url}/readyz`)).status).toBe(503)
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
  })
})
