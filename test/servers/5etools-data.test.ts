import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openCatalogue } from '../../servers/5etools/catalogue.ts'
import { renderEntry } from '../../servers/5etools/entry.ts'
import { readLibrary } from '../../servers/5etools/library.ts'
import { challengeOf } from '../../servers/5etools/monster.ts'
import { renderTags } from '../../servers/5etools/tag.ts'
import { renderEntries } from '../../servers/5etools/text.ts'
import { suite } from '../support/machine.ts'

type Tree = Readonly<Record<string, unknown>>

/** A folder with these files; a text is written as it is, anything else as JSON. */
function folder(tree: Tree): string {
  const root = mkdtempSync(join(tmpdir(), '5etools-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const [path, content] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return root
}

const condition = (name: string, more: Tree = {}) => ({ name, source: 'X1', entries: [`You are ${name}.`], ...more })
const names = (library: Awaited<ReturnType<typeof readLibrary>>) => library.entries.map(({ name }) => name)

describe('reading a folder', () => {
  const file = { condition: [condition('Sleepy')] }

  test('takes the data folder in it, or itself', async () => {
    expect(names(await readLibrary({ data: folder({ 'data/conditions.json': file }) }))).toEqual(['Sleepy'])
    expect(names(await readLibrary({ data: folder({ 'conditions.json': file }) }))).toEqual(['Sleepy'])
  })

  test('tells the version of the data', async () => {
    const data = folder({ 'package.json': { version: '2.31.0' }, 'data/conditions.json': file })
    expect((await readLibrary({ data })).version).toBe('2.31.0')
  })

  test('skips a broken file, names it and reads the others', async () => {
    const broken = { 'a.json': '{"condition": [{"na', 'b.json': '', 'c.json': '[1]', 'd.json': 'null' }
    const library = await readLibrary({ data: folder({ ...broken, 'e.json': file }) })
    expect(names(library)).toEqual(['Sleepy'])
    expect(library.faults.map((fault) => fault.split(':')[0])).toEqual(['a.json', 'b.json', 'c.json', 'd.json'])
    expect(library.faults[0]).toContain('not JSON')
    expect(library.faults[2]).toContain('not a JSON object')
  })

  test('does not follow links out of it', async () => {
    const outside = folder({ 'secret.json': { condition: [condition('Secret')] } })
    const data = folder({ 'in.json': file })
    symlinkSync(join(outside, 'secret.json'), join(data, 'out.json'))
    symlinkSync(outside, join(data, 'away'))
    symlinkSync(join(data, 'in.json'), join(data, 'nowhere-else.json'))
    symlinkSync('/nonexistent', join(data, 'gone.json'))
    const library = await readLibrary({ data })
    expect(names(library)).toEqual(['Sleepy', 'Sleepy'])
    expect(library.faults).toEqual([
      'gone.json: cannot be read: ENOENT',
      'out.json: a link that leaves the data folder',
    ])
  })

  suite('with a pipe in it', ['tools'], () => {
    test('does not wait for what is not a file', async () => {
      const data = folder({ 'in.json': file, 'folder.json/other.json': file })
      execFileSync('mkfifo', [join(data, 'pipe.json')])
      const library = await readLibrary({ data })
      expect(names(library)).toEqual(['Sleepy', 'Sleepy'])
      expect(library.faults).toEqual(['pipe.json: not a file'])
    })
  })

  test('finds nothing in an empty or missing folder, and says so', async () => {
    expect(await readLibrary({ data: folder({}) })).toMatchObject({ entries: [], faults: [] })
    expect((await readLibrary({ data: '/nonexistent' })).faults).toEqual(['/nonexistent: no such folder'])
  })

  test('takes objects of any shape for what they are', async () => {
    const odd = { spell: [{ name: 'Odd' }, {}, 7, null, 'x'], monster: { name: 'One' }, item: 'none', constructor: [] }
    const library = await readLibrary({ data: folder({ 'odd.json': odd }) })
    expect(names(library)).toEqual(['Odd', 'One'])
    for (const entry of library.entries) expect(renderEntry(entry, '')).toContain(`## ${entry.name}`)
  })

  test('puts homebrew first and goes by the rules that are asked for', async () => {
    const official = {
      'books.json': {
        book: [
          { name: 'New', source: 'N', published: '2024-09-17' },
          { name: 'Old', source: 'O', published: '2014-08-19' },
        ],
      },
      'conditions.json': { condition: [condition('Sleepy', { source: 'O' }), condition('Sleepy', { source: 'N' })] },
    }
    const brew = {
      'brew.json': {
        _meta: { sources: [{ json: 'HB', full: 'Mine' }] },
        condition: [condition('SLEEPY', { source: 'HB' })],
      },
    }
    const library = await readLibrary({ data: folder(official), homebrew: folder(brew) })
    const catalogue = openCatalogue(library.entries)
    onTestFinished(catalogue.close)
    const sources = (edition?: '2014' | '2024') => catalogue.named('sleepy', { edition }).map(({ source }) => source)
    expect(sources()).toEqual(['HB', 'N', 'O'])
    expect(sources('2014')).toEqual(['HB', 'O'])
    expect(sources('2024')).toEqual(['HB', 'N'])
    expect(library.books.get('HB')).toEqual({ name: 'Mine', published: '' })
  })

  test('knows which classes have a spell from the list beside the spells, or from the spell', async () => {
    const spell = (name: string, more: Tree = {}) => ({ name, source: 'X1', level: 1, school: 'V', ...more })
    const data = folder({
      'spells/spells.json': {
        spell: [spell('A'), spell('B', { classes: { fromClassList: [{ name: 'Bard' }] } }), spell('C')],
      },
      'spells/sources.json': { X1: { A: { class: [{ name: 'Wizard' }, { name: 'Cleric' }] } } },
    })
    const { entries } = await readLibrary({ data })
    expect(entries.map(({ classes }) => classes)).toEqual([['Cleric', 'Wizard'], ['Bard'], []])
  })
})

describe('copies', () => {
  const read = async (...monster: readonly Tree[]) => {
    const library = await readLibrary({ data: folder({ 'bestiary.json': { monster } }) })
    return { raw: Object.fromEntries(library.entries.map(({ name, raw }) => [name, raw])), faults: library.faults }
  }
  const wolf = {
    name: 'Wolf',
    source: 'X1',
    page: 7,
    srd: true,
    cr: '1/4',
    str: 12,
    trait: [{ name: 'Bite', entries: ['the wolf bites {@hit 4}'] }],
    senses: 'smell',
  }
  const copyOf = (name: string, _mod: Tree = {}, more: Tree = {}) => ({
    source: 'X1',
    _copy: { name, source: 'x1', _mod },
    ...more,
  })

  test('take what they do not say themselves, but nothing of the printing', async () => {
    const { raw } = await read(wolf, { name: 'Cub', cr: '0', senses: null, ...copyOf('WOLF') })
    expect(raw.Cub).toEqual({ name: 'Cub', source: 'X1', cr: '0', str: 12, trait: wolf.trait })
  })

  test('keep of the printing what they preserve', async () => {
    const cub = { name: 'Cub', source: 'X1', _copy: { name: 'Wolf', source: 'X1', _preserve: { page: true } } }
    expect((await read(wolf, cub)).raw.Cub).toMatchObject({ page: 7 })
  })

  test('of copies are resolved in any order', async () => {
    const { raw, faults } = await read(
      { name: 'C', ...copyOf('B', {}, { str: 14 }) },
      { name: 'B', ...copyOf('Wolf', {}, { cr: '2' }) },
      wolf,
    )
    expect(raw.C).toMatchObject({ str: 14, cr: '2', trait: wolf.trait })
    expect(faults).toEqual([])
  })

  const extra = { name: 'Howl', entries: ['loud'] }
  test.each([
    ['appendArr', { trait: { mode: 'appendArr', items: extra } }, ['Bite', 'Howl']],
    ['prependArr', { trait: { mode: 'prependArr', items: [extra] } }, ['Howl', 'Bite']],
    ['insertArr', { trait: { mode: 'insertArr', index: 0, items: extra } }, ['Howl', 'Bite']],
    ['replaceArr', { trait: { mode: 'replaceArr', replace: 'Bite', items: extra } }, ['Howl']],
    ['replaceArr by index', { trait: { mode: 'replaceArr', replace: { index: 0 }, items: extra } }, ['Howl']],
    ['replaceOrAppendArr', { trait: { mode: 'replaceOrAppendArr', replace: 'Nap', items: extra } }, ['Bite', 'Howl']],
    ['appendIfNotExistsArr', { trait: { mode: 'appendIfNotExistsArr', items: wolf.trait } }, ['Bite']],
    ['removeArr', { trait: { mode: 'removeArr', names: 'Bite' } }, []],
    ['renameArr', { trait: { mode: 'renameArr', renames: { rename: 'Bite', with: 'Nip' } } }, ['Nip']],
    [
      'several in turn',
      {
        trait: [
          { mode: 'removeArr', names: 'Bite' },
          { mode: 'appendArr', items: extra },
        ],
      },
      ['Howl'],
    ],
  ])('change a list with %s', async (_, mod, traits) => {
    const { raw, faults } = await read(wolf, { name: 'Cub', ...copyOf('Wolf', mod) })
    expect(raw.Cub?.trait).toMatchObject(traits.map((name) => ({ name })))
    expect(faults).toEqual([])
  })

  test('change texts, numbers and whole fields', async () => {
    const mod = {
      '*': [
        { mode: 'replaceTxt', replace: 'the wolf', with: 'the cub' },
        { mode: 'scalarAddHit', scalar: 2 },
      ],
      str: { mode: 'scalarAddProp', scalar: -4 },
      cr: 'remove',
      _: [
        { mode: 'setProp', prop: 'size', value: ['S'] },
        { mode: 'addSenses', senses: { type: 'darkvision', range: 60 } },
      ],
    }
    const { raw } = await read(wolf, { name: 'Cub', ...copyOf('Wolf', mod) })
    expect(raw.Cub).toMatchObject({ trait: [{ entries: ['the cub bites {@hit 6}'] }], str: 8, size: ['S'] })
    expect(raw.Cub).toMatchObject({ senses: ['smell', 'darkvision 60 ft.'] })
    expect(raw.Cub).not.toHaveProperty('cr')
  })

  test('of what is missing keep their own part, and are named', async () => {
    const { raw, faults } = await read({ name: 'Lost', ...copyOf('Nobody', {}, { cr: '3' }) })
    expect(raw.Lost).toEqual({ name: 'Lost', source: 'X1', cr: '3' })
    expect(faults).toEqual(['monster Lost (X1) is a copy of Nobody (x1), which was not found'])
  })

  test('of each other end', async () => {
    const { raw, faults } = await read(
      { name: 'A', ...copyOf('B') },
      { name: 'B', ...copyOf('A') },
      { name: 'Self', ...copyOf('Self') },
    )
    expect(Object.keys(raw)).toEqual(['A', 'B', 'Self'])
    expect(faults).toContain('monster Self (X1) is a copy of Self (x1), which is a copy of it again')
  })

  test('name changes of an unknown kind', async () => {
    const { faults } = await read(wolf, { name: 'Cub', ...copyOf('Wolf', { trait: { mode: 'shuffleArr' } }) })
    expect(faults).toEqual(['monster Cub (X1): a change of the kind "shuffleArr" is not applied'])
  })
})

describe('text', () => {
  test.each([
    ['{@spell fireball|PHB}', 'fireball'],
    ['{@creature goblin|MM|goblins}', 'goblins'],
    ['{@damage 8d6} {@dice 1d6|a die}', '8d6 a die'],
    ['{@scaledamage 8d6|3-9|1d6}', '1d6'],
    ['{@atk mw} {@hit 5} to hit. {@h}3', 'Melee Weapon Attack: +5 to hit. Hit: 3'],
    [
      '{@atk mw,rw} {@atk ms,rw} {@atkr m,r}',
      'Melee or Ranged Weapon Attack: Melee Spell or Ranged Weapon Attack: Melee or Ranged Attack Roll:',
    ],
    ['{@dc 15} {@chance 30} {@d20 -4}', 'DC 15 30 percent -4'],
    ['{@recharge} {@recharge 5} {@recharge 6}', '(Recharge 6) (Recharge 5–6) (Recharge 6)'],
    [
      '{@actSave dex} {@actSaveFail} {@actSaveFail 2} {@actSaveSuccess}',
      'Dexterity Saving Throw: Failure: Second Failure: Success:',
    ],
    ['{@b bold {@i both {@condition prone}}} {@note small}', '**bold *both prone*** *small*'],
    ['{@filter deadly things|bestiary|type=dragon}', 'deadly things'],
    ['{@deity Auril|forgotten realms|SCAG|the Cold One} {@ability str 20}', 'the Cold One 20 (+5)'],
    ['{@brandnew text|a|b} {@constructor x} {@toString}', 'b x '],
    ['{@item a|b|c|d|e} {@item a||c} {@item |||}', 'c c '],
    ['{@unclosed text', '{@unclosed text'],
    ['{@ } } {', '{@ } } {'],
  ])('renders %s', (text, shown) => {
    expect(renderTags(text)).toBe(shown)
  })

  test('ends on tags that nest without end', () => {
    const deep = `${'{@b '.repeat(200)}x${'}'.repeat(200)}`
    expect(renderTags(deep)).toContain('x')
  })

  test('renders blocks that nest 40 deep, and survives thousands', () => {
    const nest = (depth: number) =>
      Array.from({ length: depth }).reduce<unknown>((inner) => ({ type: 'entries', entries: [inner] }), 'core')
    expect(renderEntries(nest(40))).toBe('core')
    expect(renderEntries(nest(3_000))).toBe('…')
  })

  test('renders lists, tables, quotes and insets as Markdown', () => {
    const table = {
      type: 'table',
      caption: 'Loot',
      colLabels: ['d4', 'What'],
      rows: [
        [{ type: 'cell', roll: { min: 1, max: 3 } }, 'a|b'],
        { type: 'row', row: ['4', { type: 'list', items: ['x', 'y'] }] },
      ],
    }
    expect(renderEntries(table)).toBe('**Loot**\n\n| d4 | What |\n| --- | --- |\n| 1–3 | a\\|b |\n| 4 | - x - y |')
    expect(renderEntries([{ type: 'list', items: ['a', { type: 'item', name: 'B', entry: 'b' }] }])).toBe(
      '- a\n- ***B.*** b',
    )
    expect(renderEntries({ type: 'quote', entries: ['Hm.'], by: 'A sage' })).toBe('> Hm.\n> \n> — A sage')
    expect(renderEntries({ type: 'inset', name: 'Aside', entries: ['a', 'b'] })).toBe('> ***Aside.*** a\n> \n> b')
    expect(renderEntries([{ type: 'neverheard', name: 'X', entries: ['y'] }, { type: 'toString' }, null, 7])).toBe(
      '***X.*** y\n\n7',
    )
  })

  test.each([
    ['1/8', 0.125],
    ['0', 0],
    ['0.25', 0.25],
    [' 30 ', 30],
    ['abc', undefined],
    ['1/0', undefined],
    ['', undefined],
    ['-1', undefined],
  ])('reads the challenge rating %j', (text, number) => {
    expect(challengeOf(text)).toBe(number)
  })
})

describe('a monster', () => {
  test('may write each of its fields in any of their forms', async () => {
    const monster = {
      name: 'Shapes',
      source: 'X1',
      size: ['S', 'M'],
      type: { type: { choose: ['fey', 'fiend'] }, tags: ['elf', { tag: 'titan', prefix: 'old' }] },
      alignment: [{ alignment: ['L', 'G'], chance: 75 }, { special: 'as its maker' }],
      ac: [12, { ac: 15, from: ['{@item shield|PHB}'], condition: 'if awake' }, { special: '10 + your level' }],
      hp: { special: '5 times your level' },
      speed: { walk: 30, fly: { number: 60, condition: '(with wings)' }, climb: true, canHover: true },
      str: 10,
      dex: { special: '=str' },
      save: { dex: '+5' },
      skill: { stealth: '+7', other: [{ oneOf: { arcana: '+1' } }] },
      resist: [
        'cold',
        { special: 'what it ate' },
        { resist: ['fire', 'acid'], preNote: 'while wet', note: '(only then)' },
      ],
      cr: { cr: '1/2', lair: '2' },
    }
    const { entries } = await readLibrary({ data: folder({ 'm.json': { monster: [monster] } }) })
    const text = renderEntry(entries[0]!, '')
    expect(text).toBe(`## Shapes

*small or medium fey or fiend (elf, old titan), lawful good (75%) or as its maker*

- **Armor Class:** 12, 15 (shield) if awake, 10 + your level
- **Hit Points:** 5 times your level
- **Speed:** 30 ft., climb equal to walking speed, fly 60 ft. (with wings), (hover)

| STR | DEX | CON | INT | WIS | CHA |
| --- | --- | --- | --- | --- | --- |
| 10 (+0) | =str | — | — | — | — |

- **Saving Throws:** Dexterity +5
- **Skills:** stealth +7
- **Resistant to:** cold, what it ate, while wet fire, acid (only then)
- **Challenge:** 1/2, 2 in its lair

*monster from X1*`)
  })
})

suite('the SRD in 5etools shape', ['shared-data'], () => {
  const data = fileURLToPath(new URL('../../../shared/data/srd/full', import.meta.url))

  test('is read whole, and every entry of it is told', async () => {
    const library = await readLibrary({ data })
    expect(library.faults).toEqual([])
    expect(library.entries.length).toBeGreaterThan(1_300)
    for (const entry of library.entries) {
      const text = renderEntry(entry, '')
      expect(text.length).toBeGreaterThan(entry.name.length + 20)
      expect(text).not.toMatch(/undefined|\[object|NaN|\{@/)
    }
  })

  test('is searched by name before text', async () => {
    const catalogue = openCatalogue((await readLibrary({ data })).entries)
    onTestFinished(catalogue.close)
    const first = (query: string) =>
      catalogue
        .search(query, {})
        .slice(0, 3)
        .map(({ name }) => name)
    expect(first('fireball')).toEqual(['Fireball', 'Delayed Blast Fireball', 'Necklace of Fireballs'])
    expect(first('hunter’s MARK')[0]).toBe("Hunter's Mark")
    expect(first('ádult red dragòn')[0]).toBe('Adult Red Dragon')
    expect(catalogue.nearest('firebal', { kinds: ['spell'] })[0]).toBe('Fireball')
  })
})
