import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf, wordOf } from './fields.ts'
import { renderTags } from './tag.ts'
import { renderEntries } from './text.ts'

/** 5etools' letters: V is evocation, E enchantment. */
export const schools: Readonly<Record<string, string>> = {
  A: 'abjuration',
  C: 'conjuration',
  D: 'divination',
  E: 'enchantment',
  V: 'evocation',
  I: 'illusion',
  N: 'necromancy',
  T: 'transmutation',
  P: 'psionic',
}

/** What spells are chosen by. */
export interface SpellFacts {
  readonly level: number
  readonly school: string
  readonly ritual: boolean
  readonly concentration: boolean
}

export function spellFacts(raw: Fields): SpellFacts {
  const letter = textOf(raw.school).toUpperCase()
  return {
    level: numberOf(raw.level) ?? 0,
    school: wordOf(schools, letter) ?? letter.toLowerCase(),
    ritual: fieldsOf(raw.meta).ritual === true,
    concentration: listOf(raw.duration).some((duration) => fieldsOf(duration).concentration === true),
  }
}

/** A spell as Markdown, without its name. */
export function renderSpell(raw: Fields, classes: readonly string[]): string {
  const { level, school, ritual } = spellFacts(raw)
  const lines = [
    ['Casting Time', listOf(raw.time).map(time).join(' or ')],
    ['Range', range(raw.range)],
    ['Components', components(raw.components)],
    ['Duration', listOf(raw.duration).map(duration).join(' or ')],
    ['Classes', classes.join(', ')],
  ]
  const title = level === 0 ? `${school} cantrip` : `level ${level} ${school}`
  return [
    `*${title}${ritual ? ' (ritual)' : ''}*`,
    lines.flatMap(([name, value]) => (value ? `- **${name}:** ${value}` : [])).join('\n'),
    renderEntries(raw.entries),
    renderEntries(raw.entriesHigherLevel),
  ]
    .filter(Boolean)
    .join('\n\n')
}

function time(value: unknown): string {
  const { number, unit, condition } = fieldsOf(value)
  const amount = `${textOf(number)} ${unit === 'bonus' ? 'bonus action' : textOf(unit)}${number === 1 ? '' : 's'}`
  return [amount, renderTags(textOf(condition))].filter(Boolean).join(', ')
}

function range(value: unknown): string {
  const { type, distance } = fieldsOf(value)
  const { type: unit, amount } = fieldsOf(distance)
  const length = amount === undefined ? textOf(unit) : `${textOf(amount)} ${textOf(unit)}`
  return type === 'point' || type === undefined
    ? length
    : [type === 'special' ? '' : 'self', length, textOf(type)].filter(Boolean).join(', ')
}

function components(value: unknown): string {
  const { v, s, m, r } = fieldsOf(value)
  const material = renderTags(textOf(isFields(m) ? m.text : m))
  return [v && 'V', s && 'S', m && (material ? `M (${material})` : 'M'), r && 'R'].filter(Boolean).join(', ')
}

function duration(value: unknown): string {
  const { type, duration: length, concentration, ends } = fieldsOf(value)
  const { amount, type: unit } = fieldsOf(length)
  if (type === 'permanent')
    return ends === undefined ? 'permanent' : `until ${listOf(ends).map(textOf).join('ed or ')}ed`
  const text = type === 'timed' ? `${textOf(amount)} ${textOf(unit)}${amount === 1 ? '' : 's'}` : textOf(type)
  return concentration === true ? `concentration, up to ${text}` : text
}
