import { wordOf } from './fields.ts'

/**
 * Turns 5etools' inline tags, `{@tag text|source|display}`, into Markdown, innermost first. A tag that is not known is
 * its text.
 */
export function renderTags(text: string): string {
  let rendered = text
  // Tags nest as deep as people write them; text that never settles is printed as it is.
  for (let round = 0; round < 20 && rendered.includes('{@'); round++) {
    const next = rendered.replace(/\{@(\w+)(?:\s+([^{}]*))?\}/g, (_, tag: string, body = '') => renderTag(tag, body))
    if (next === rendered) break
    rendered = next
  }
  return rendered.replace(/\{#itemEntry ([^|{}]*)[^{}]*\}/g, 'See $1.')
}

function renderTag(tag: string, body: string): string {
  const parts = body.split('|').map((part) => part.trim())
  const [first = ''] = parts
  const wrap = wordOf(wraps, tag)
  if (wrap !== undefined) return first === '' ? '' : `${wrap}${body}${wrap}`
  const phrase = wordOf(phrases, tag)
  if (phrase !== undefined) return typeof phrase === 'string' ? phrase : phrase(parts)
  return parts[wordOf(displays, tag) ?? 2] || first
}

const wraps: Readonly<Record<string, string>> = {
  b: '**',
  bold: '**',
  i: '*',
  italic: '*',
  note: '*',
  s: '~~',
  strike: '~~',
  code: '`',
}

/** Which part, if it is there, is what people read; 2 for all others. */
const displays: Readonly<Record<string, number>> = {
  dice: 1,
  damage: 1,
  autodice: 1,
  d20: 1,
  deity: 3,
  classFeature: 5,
  subclassFeature: 7,
  quickref: 4,
  filter: 9,
  book: 9,
  adventure: 9,
  link: 9,
  area: 9,
  '5etools': 9,
  skillCheck: 1,
  savingThrow: 1,
}

type Phrase = string | ((parts: readonly string[]) => string)

const phrases: Readonly<Record<string, Phrase>> = {
  h: 'Hit: ',
  m: 'Miss: ',
  hom: 'Hit or Miss: ',
  hit: ([bonus = '', shown]) => shown || signed(bonus),
  d20: ([bonus = '', shown]) => shown || signed(bonus),
  initiative: ([bonus = '', shown]) => shown || signed(bonus),
  dc: ([dc = '', shown]) => `DC ${shown || dc}`,
  chance: ([percent = '', shown]) => shown || `${percent} percent`,
  coinflip: ([shown]) => shown || 'flip a coin',
  recharge: ([from]) => (from && from !== '6' ? `(Recharge ${from}–6)` : '(Recharge 6)'),
  scaledice: scaled,
  scaledamage: scaled,
  ability: ([named = '']) => abilityScore(named),
  atk: ([codes = '']) => `${attack(codes)} Attack:`,
  atkr: ([codes = '']) => `${attack(codes)} Attack Roll:`,
  actSave: ([ability = '']) => `${wordOf(abilities, ability) ?? ability} Saving Throw:`,
  actSaveFail: ([n]) => (n ? `${wordOf(ordinals, n) ?? n} Failure:` : 'Failure:'),
  actSaveFailBy: ([by = '']) => `Failure by ${by} or More:`,
  actSaveSuccess: 'Success:',
  actSaveSuccessOrFail: 'Failure or Success:',
  actTrigger: 'Trigger:',
  actResponse: 'Response:',
}

export const abilities: Readonly<Record<string, string>> = {
  str: 'Strength',
  dex: 'Dexterity',
  con: 'Constitution',
  int: 'Intelligence',
  wis: 'Wisdom',
  cha: 'Charisma',
}

const ordinals: Readonly<Record<string, string>> = { '1': 'First', '2': 'Second', '3': 'Third' }

/** A number with its sign, anything else as it is. */
export function signed(number: string | number): string {
  return /^\d/.test(String(number)) ? `+${number}` : String(number)
}

/** A score with its modifier: `16 (+3)`. */
export function score(value: number): string {
  return `${value} (${signed(Math.floor((value - 10) / 2))})`
}

function scaled(parts: readonly string[]): string {
  return parts[4] || parts[2] || parts[0] || ''
}

function abilityScore(named: string): string {
  const value = Number(named.split(' ')[1])
  return Number.isFinite(value) ? score(value) : named
}

const letters: Readonly<Record<string, string>> = {
  m: 'Melee',
  r: 'Ranged',
  mw: 'Melee Weapon',
  rw: 'Ranged Weapon',
  ms: 'Melee Spell',
  rs: 'Ranged Spell',
  mp: 'Melee Power',
  rp: 'Ranged Power',
}

/** `mw,rw` as `Melee or Ranged Weapon`. */
function attack(codes: string): string {
  const names = codes.split(',').map((code) => wordOf(letters, code.trim()) ?? code)
  const [last = ''] = names.slice(-1)
  const [, noun] = last.split(' ')
  const shared = noun !== undefined && names.every((name) => name.endsWith(` ${noun}`))
  return names.map((name) => (shared && name !== last ? name.slice(0, -noun.length - 1) : name)).join(' or ')
}
