import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf, textsOf, wordOf } from './fields.ts'
import { abilities, renderTags, score, signed } from './tag.ts'
import { renderEntries } from './text.ts'

const sizes: Readonly<Record<string, string>> = {
  F: 'fine',
  D: 'diminutive',
  T: 'tiny',
  S: 'small',
  M: 'medium',
  L: 'large',
  H: 'huge',
  G: 'gargantuan',
  C: 'colossal',
  V: 'varies',
}

const alignments: Readonly<Record<string, string>> = {
  L: 'lawful',
  N: 'neutral',
  NX: 'neutral',
  NY: 'neutral',
  C: 'chaotic',
  G: 'good',
  E: 'evil',
  U: 'unaligned',
  A: 'any alignment',
}

/** 5etools spells "any" out as all that it allows. */
const anyAlignments: Readonly<Record<string, string>> = {
  'L NX C E': 'any evil alignment',
  'L NX C G': 'any good alignment',
  'C G NY E': 'any chaotic alignment',
  'L G NY E': 'any lawful alignment',
  'L NX C NY E': 'any non-good alignment',
  'NX C G NY E': 'any non-lawful alignment',
}

/** What monsters are chosen by. */
export interface MonsterFacts {
  /** As a number, 0.125 for 1/8; absent for what has none. */
  readonly cr: number | undefined
  readonly crText: string
  readonly type: string
  readonly sizes: readonly string[]
  readonly environments: readonly string[]
}

export function monsterFacts(raw: Fields): MonsterFacts {
  const crText = textOf(isFields(raw.cr) ? raw.cr.cr : raw.cr)
  return {
    cr: challengeOf(crText),
    crText: crText || '—',
    type: typeNames(raw.type).join(' or '),
    sizes: textsOf(raw.size).map((size) => wordOf(sizes, size) ?? size.toLowerCase()),
    environments: textsOf(raw.environment).map((name) => name.toLowerCase()),
  }
}

/** A challenge rating as a number: from `1/4`, `0.25` or `5`; nothing from anything else. */
export function challengeOf(text: string): number | undefined {
  const [, top, bottom] = /^\s*(\d{1,2}(?:\.\d{1,3})?)(?:\s*\/\s*([1-9]\d?))?\s*$/.exec(text) ?? []
  return top === undefined ? undefined : Number(top) / Number(bottom ?? 1)
}

function typeNames(type: unknown): readonly string[] {
  const named = isFields(type) ? type.type : type
  return isFields(named) ? textsOf(named.choose) : textsOf(named)
}

/** A monster as Markdown, without its name. */
export function renderMonster(raw: Fields): string {
  const parts = [
    `*${headline(raw)}*`,
    statistics(raw),
    scores(raw),
    details(raw),
    ...sections.map((of) => section(raw, of)),
  ]
  return parts.filter(Boolean).join('\n\n')
}

function headline(raw: Fields): string {
  const facts = monsterFacts(raw)
  const tags = listOf(fieldsOf(raw.type).tags).map((tag) =>
    textOf(isFields(tag) ? `${textOf(tag.prefix)} ${textOf(tag.tag)}` : tag).trim(),
  )
  const swarm = textOf(fieldsOf(raw.type).swarmSize)
  const type = swarm ? `swarm of ${wordOf(sizes, swarm) ?? swarm} ${facts.type}s` : facts.type
  const kind = `${facts.sizes.join(' or ')} ${type}${tags.length > 0 ? ` (${tags.join(', ')})` : ''}`
  return [kind, `${textOf(raw.alignmentPrefix)}${alignment(listOf(raw.alignment))}`].filter(Boolean).join(', ')
}

function alignment(codes: readonly unknown[]): string {
  if (codes.some(isFields)) {
    const options = codes.map(fieldsOf).map((code) => {
      const chance = numberOf(code.chance)
      return `${textOf(code.special) || alignment(listOf(code.alignment))}${chance === undefined ? '' : ` (${chance}%)`}`
    })
    return options.join(' or ')
  }
  const letters = codes.map(textOf)
  const words = letters.map((letter) => wordOf(alignments, letter) ?? letter)
  return wordOf(anyAlignments, letters.join(' ')) ?? [...new Set(words)].join(' ')
}

function statistics(raw: Fields): string {
  const hp = fieldsOf(raw.hp)
  const formula = textOf(hp.formula)
  return bullets([
    ['Armor Class', listOf(raw.ac).map(armor).join(', ')],
    ['Hit Points', textOf(hp.special) || `${textOf(hp.average)}${formula ? ` (${formula})` : ''}`],
    ['Speed', speed(raw.speed)],
  ])
}

function armor(ac: unknown): string {
  if (!isFields(ac)) return textOf(ac)
  const from = listOf(ac.from).map(textOf).map(renderTags).join(', ')
  return [textOf(ac.special ?? ac.ac), from && `(${from})`, renderTags(textOf(ac.condition))].filter(Boolean).join(' ')
}

/** A speed of a monster or a race. */
export function speed(value: unknown): string {
  if (!isFields(value)) return value === undefined ? '' : `${textOf(value)} ft.`
  const modes = ['walk', 'burrow', 'climb', 'fly', 'swim'].filter((mode) => value[mode] !== undefined)
  const texts = modes.map((mode) => {
    const given = value[mode]
    const feet = given === true ? 'equal to walking speed' : `${textOf(isFields(given) ? given.number : given)} ft.`
    const condition = renderTags(textOf(fieldsOf(given).condition))
    return [mode === 'walk' ? '' : mode, feet, condition].filter(Boolean).join(' ')
  })
  return [...texts, value.canHover === true ? '(hover)' : ''].filter(Boolean).join(', ')
}

function scores(raw: Fields): string {
  const codes = Object.keys(abilities)
  if (codes.every((code) => raw[code] === undefined)) return ''
  const values = codes.map((code) => {
    const value = numberOf(raw[code])
    return value === undefined ? textOf(fieldsOf(raw[code]).special) || '—' : score(value)
  })
  return `| ${codes.join(' | ').toUpperCase()} |\n|${' --- |'.repeat(codes.length)}\n| ${values.join(' | ')} |`
}

function details(raw: Fields): string {
  const cr = fieldsOf(raw.cr)
  const lair = textOf(cr.lair)
  const senses = [
    ...textsOf(raw.senses).map(renderTags),
    raw.passive === undefined ? '' : `passive Perception ${textOf(raw.passive)}`,
  ]
  return bullets([
    ['Saving Throws', bonuses(raw.save)],
    ['Skills', bonuses(raw.skill)],
    ['Vulnerable to', damage(raw.vulnerable, 'vulnerable')],
    ['Resistant to', damage(raw.resist, 'resist')],
    ['Immune to', damage(raw.immune, 'immune')],
    ['Immune to conditions', damage(raw.conditionImmune, 'conditionImmune')],
    ['Senses', senses.filter(Boolean).join(', ')],
    ['Languages', textsOf(raw.languages).map(renderTags).join(', ')],
    ['Challenge', `${monsterFacts(raw).crText}${lair ? `, ${lair} in its lair` : ''}`],
    ['Environment', monsterFacts(raw).environments.join(', ')],
  ])
}

function bonuses(value: unknown): string {
  const named = Object.entries(fieldsOf(value)).filter(([, bonus]) => textOf(bonus) !== '')
  return named.map(([name, bonus]) => `${wordOf(abilities, name) ?? name} ${signed(textOf(bonus))}`).join(', ')
}

function damage(value: unknown, key: string): string {
  const texts = listOf(value).map((part) => {
    if (!isFields(part)) return textOf(part)
    const inner = part.special ?? damage(part[key], key)
    return [textOf(part.preNote), textOf(inner), textOf(part.note)].filter(Boolean).join(' ')
  })
  return renderTags(texts.join(', '))
}

const sections = [
  ['spellcasting', ''],
  ['trait', 'Traits'],
  ['action', 'Actions'],
  ['bonus', 'Bonus Actions'],
  ['reaction', 'Reactions'],
  ['legendary', 'Legendary Actions'],
  ['mythic', 'Mythic Actions'],
] as const

function section(raw: Fields, [field, title]: (typeof sections)[number]): string {
  const list = listOf(raw[field]).map((entry) =>
    field === 'spellcasting' ? { ...fieldsOf(entry), type: 'spellcasting' } : entry,
  )
  if (list.length === 0) return ''
  return [title && `### ${title}`, renderEntries(list)].filter(Boolean).join('\n\n')
}

/** `- **Name:** value` for each value that is there. */
export function bullets(lines: readonly (readonly [string, string])[]): string {
  return lines.flatMap(([name, value]) => (value ? `- **${name}:** ${value}` : [])).join('\n')
}
