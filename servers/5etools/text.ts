import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf, wordOf } from './fields.ts'
import { renderTags } from './tag.ts'

/** Deeper than anything a person wrote. */
const deepest = 60

/** Entries, which are texts, blocks of texts, lists, tables and more, as Markdown paragraphs. */
export function renderEntries(entries: unknown, depth = 0): string {
  return listOf(entries)
    .map((entry) => renderEntry(entry, depth))
    .filter(Boolean)
    .join('\n\n')
}

/** The same on one line, for a cell or a summary. */
export function renderLine(entries: unknown): string {
  return renderEntries(entries)
    .replace(/\s*\n+\s*/g, ' ')
    .trim()
}

function renderEntry(entry: unknown, depth: number): string {
  if (!isFields(entry)) return renderTags(textOf(entry))
  if (depth > deepest) return '…'
  const render = wordOf(blocks, textOf(entry.type))
  return render === undefined ? named(entry, depth) : render(entry, depth + 1)
}

type Block = (entry: Fields, depth: number) => string

const blocks: Readonly<Record<string, Block>> = {
  list: (entry, depth) =>
    listOf(entry.items)
      .map((item) => bullet(item, depth))
      .join('\n'),
  options: named,
  table: renderTable,
  tableGroup: (entry, depth) => renderEntries(entry.tables, depth),
  quote: (entry, depth) =>
    quote(`${renderEntries(entry.entries, depth)}${entry.by ? `\n\n— ${textOf(entry.by)}` : ''}`),
  inset: (entry, depth) => quote(named(entry, depth)),
  insetReadaloud: (entry, depth) => quote(named(entry, depth)),
  variant: (entry, depth) => quote(named(entry, depth)),
  inline: (entry, depth) =>
    listOf(entry.entries)
      .map((part) => renderEntry(part, depth))
      .join(''),
  inlineBlock: (entry, depth) =>
    listOf(entry.entries)
      .map((part) => renderEntry(part, depth))
      .join(''),
  link: (entry) => renderTags(textOf(entry.text)),
  bonus: (entry) => `+${textOf(entry.value)}`,
  bonusSpeed: (entry) => `+${textOf(entry.value)} ft.`,
  dice: (entry) =>
    listOf(entry.toRoll)
      .map(fieldsOf)
      .map((roll) => `${textOf(roll.number)}d${textOf(roll.faces)}`)
      .join(' + '),
  abilityDc: (entry) => `${textOf(entry.name)} save DC = 8 + your proficiency bonus + your ${spelled(entry)} modifier`,
  abilityAttackMod: (entry) =>
    `${textOf(entry.name)} attack modifier = your proficiency bonus + your ${spelled(entry)} modifier`,
  abilityGeneric: (entry) => [textOf(entry.name), renderTags(textOf(entry.text))].filter(Boolean).join(' '),
  spellcasting: renderSpellcasting,
  cell: (entry, depth) => (entry.roll ? rollCell(fieldsOf(entry.roll)) : renderEntries(entry.entry, depth)),
  image: (entry) => (entry.title ? `(picture: ${textOf(entry.title)})` : ''),
  gallery: () => '',
  hr: () => '---',
  refClassFeature: (entry) => reference(entry.classFeature),
  refSubclassFeature: (entry) => reference(entry.subclassFeature),
  refOptionalfeature: (entry) => reference(entry.optionalfeature),
  refFeat: (entry) => reference(entry.feat),
  statblock: (entry) => `See ${textOf(entry.displayName ?? entry.name)} (${textOf(entry.tag)}).`,
  statblockInline: (entry) => `See ${textOf(fieldsOf(entry.data).name)}.`,
}

/** A block with a name and texts: what most types are, and what an unknown type is read as. */
function named(entry: Fields, depth: number): string {
  const body = renderEntries([...listOf(entry.entries), ...listOf(entry.entry), ...listOf(entry.items)], depth + 1)
  const name = renderTags(textOf(entry.name))
  if (name === '') return body
  return `***${name}${/[.!?:]$/.test(name) ? '' : '.'}*** ${body}`.trim()
}

function bullet(item: unknown, depth: number): string {
  return `- ${renderEntry(item, depth).replace(/\n/g, '\n  ')}`
}

function quote(text: string): string {
  return text.replace(/^/gm, '> ')
}

function reference(named: unknown): string {
  return `See ${textOf(named).split('|')[0]}.`
}

function spelled(entry: Fields): string {
  return listOf(entry.attributes).map(textOf).join(' or ')
}

function renderTable(entry: Fields, depth: number): string {
  const rows = listOf(entry.rows).map((row) => listOf(fieldsOf(row).row ?? row).map((cell) => cellText(cell, depth)))
  const given = listOf(entry.colLabels).map((label) => cellText(label, depth))
  const width = Math.max(given.length, ...rows.map((row) => row.length))
  const labels = Array.from({ length: width }, (_, index) => given[index] ?? '')
  const caption = entry.caption ? `**${renderTags(textOf(entry.caption))}**\n\n` : ''
  return caption + markdownTable(labels, rows)
}

function cellText(cell: unknown, depth: number): string {
  return renderEntry(cell, depth)
    .replace(/\s*\n+\s*/g, ' ')
    .trim()
}

function rollCell({ exact, min, max }: Fields): string {
  return exact === undefined ? `${textOf(min)}–${textOf(max)}` : textOf(exact)
}

/** Rows of plain cells as a Markdown table. */
export function markdownTable(labels: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`
  return [line(labels), line(labels.map(() => '---')), ...rows.map(line)].join('\n')
}

function renderSpellcasting(entry: Fields, depth: number): string {
  const spells = (value: unknown) =>
    listOf(value)
      .map((spell) => renderEntry(fieldsOf(spell).entry ?? spell, depth))
      .join(', ')
  const perDay = Object.entries(fieldsOf(entry.daily)).map(
    ([times, list]) => `- ${times.replace('e', '')}/day${times.endsWith('e') ? ' each' : ''}: ${spells(list)}`,
  )
  const perLevel = Object.entries(fieldsOf(entry.spells)).map(([level, known]) => {
    const slots = numberOf(fieldsOf(known).slots)
    const title =
      level === '0'
        ? 'Cantrips (at will)'
        : `Level ${level}${slots === undefined ? '' : ` (${slots} ${slots === 1 ? 'slot' : 'slots'})`}`
    return `- ${title}: ${spells(fieldsOf(known).spells)}`
  })
  const atWill = entry.will === undefined ? [] : [`- At will: ${spells(entry.will)}`]
  const list = [...atWill, ...perDay, ...perLevel].join('\n')
  const body = [renderEntries(entry.headerEntries, depth), list, renderEntries(entry.footerEntries, depth)]
  return `***${textOf(entry.name) || 'Spellcasting'}.*** ${body.filter(Boolean).join('\n\n')}`
}
