import { type Fields, isFields, listOf, numberOf, textOf, textsOf, wordOf } from './fields.ts'
import { bullets } from './monster.ts'
import { renderTags } from './tag.ts'
import { renderEntries } from './text.ts'

const types: Readonly<Record<string, string>> = {
  $: 'treasure',
  A: 'ammunition',
  AF: 'ammunition',
  AIR: 'vehicle (air)',
  AT: "artisan's tools",
  EXP: 'explosive',
  FD: 'food and drink',
  G: 'adventuring gear',
  GS: 'gaming set',
  HA: 'heavy armor',
  IDG: 'illegal drug',
  INS: 'instrument',
  LA: 'light armor',
  M: 'melee weapon',
  MA: 'medium armor',
  MNT: 'mount',
  P: 'potion',
  R: 'ranged weapon',
  RD: 'rod',
  RG: 'ring',
  S: 'shield',
  SC: 'scroll',
  SCF: 'spellcasting focus',
  SHP: 'vehicle (water)',
  SPC: 'vehicle (space)',
  T: 'tool',
  TAH: 'tack and harness',
  TG: 'trade good',
  VEH: 'vehicle (land)',
  WD: 'wand',
}

const damageTypes: Readonly<Record<string, string>> = {
  A: 'acid',
  B: 'bludgeoning',
  C: 'cold',
  F: 'fire',
  I: 'poison',
  L: 'lightning',
  N: 'necrotic',
  O: 'force',
  P: 'piercing',
  R: 'radiant',
  S: 'slashing',
  T: 'thunder',
  Y: 'psychic',
}

const properties: Readonly<Record<string, string>> = {
  '2H': 'two-handed',
  A: 'ammunition',
  F: 'finesse',
  H: 'heavy',
  L: 'light',
  LD: 'loading',
  R: 'reach',
  RLD: 'reload',
  S: 'special',
  T: 'thrown',
  V: 'versatile',
  VST: 'vestige',
}

/** What items are chosen by. */
export interface ItemFacts {
  readonly rarity: string
  readonly type: string
  readonly attunement: boolean
}

export function itemFacts(raw: Fields): ItemFacts {
  const code = codeOf(raw.type)
  const type = wordOf(types, code) ?? code.toLowerCase()
  const wondrous = raw.wondrous === true ? 'wondrous item' : ''
  return {
    rarity: textOf(raw.rarity) || 'none',
    type: [wondrous, type, raw.staff === true ? 'staff' : ''].filter(Boolean).join(', ') || 'item',
    attunement: raw.reqAttune !== undefined && raw.reqAttune !== false,
  }
}

/** Newer data writes `M|XPHB` for what used to be `M`. */
function codeOf(code: unknown): string {
  return textOf(code).split('|')[0] ?? ''
}

/** An item as Markdown, without its name. */
export function renderItem(raw: Fields): string {
  const { rarity, type, attunement } = itemFacts(raw)
  const by = typeof raw.reqAttune === 'string' ? ` ${renderTags(raw.reqAttune)}` : ''
  const title = [type, rarity === 'none' ? '' : rarity, attunement ? `requires attunement${by}` : ''].filter(Boolean)
  const weight = numberOf(raw.weight)
  const lines = bullets([
    ['Damage', damage(raw)],
    ['Properties', listOf(raw.property).map(property).join(', ')],
    ['Range', raw.range === undefined ? '' : `${textOf(raw.range)} ft.`],
    ['Armor Class', textOf(raw.ac)],
    ['Strength', textOf(raw.strength)],
    ['Charges', textOf(raw.charges)],
    ['Weight', weight === undefined ? '' : `${weight} lb.`],
    ['Value', price(numberOf(raw.value))],
    ['Bonus', textOf(raw.bonusWeapon ?? raw.bonusAc ?? raw.bonusSpellAttack)],
    [
      'Contains',
      textsOf(raw.items)
        .map((name) => name.split('|')[0])
        .join(', '),
    ],
  ])
  return [`*${title.join(', ')}*`, lines, renderEntries(substitute(raw.entries, raw))].filter(Boolean).join('\n\n')
}

function damage(raw: Fields): string {
  if (raw.dmg1 === undefined) return ''
  const type = wordOf(damageTypes, textOf(raw.dmgType)) ?? ''
  const twoHanded = raw.dmg2 === undefined ? '' : ` (${textOf(raw.dmg2)} with two hands)`
  return `${renderTags(textOf(raw.dmg1))} ${type}${twoHanded}`
}

function property(value: unknown): string {
  const code = codeOf(isFields(value) ? value.uid : value)
  return wordOf(properties, code) ?? code
}

/** From copper pieces. */
function price(copper: number | undefined): string {
  if (copper === undefined) return ''
  if (copper % 100 === 0) return `${copper / 100} gp`
  return copper % 10 === 0 ? `${copper / 10} sp` : `${copper} cp`
}

/** `{=bonusWeapon}` in the text of a magic variant stands for its field. */
function substitute(entries: unknown, raw: Fields): unknown {
  return listOf(entries).map((entry) =>
    typeof entry === 'string'
      ? entry.replace(/\{=(\w+)[^}]*\}/g, (all, name: string) => textOf(raw[name]) || all)
      : entry,
  )
}
