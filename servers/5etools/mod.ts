import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf } from './fields.ts'

/** What `_mod` made of an object, and the kinds of change that it asks for and that are not known here. */
export interface Modified {
  readonly result: Fields
  readonly unknown: readonly string[]
}

/** Where a change of `*` looks: every list of named texts. */
const named = ['trait', 'action', 'bonus', 'reaction', 'legendary', 'mythic', 'variant', 'spellcasting', 'entries']

/**
 * Applies 5etools' `_mod`: an object from a field's name (`*` for every list of texts, `_` for the object itself) to
 * one change or several, each with its `mode`, or `"remove"`. Numbers in modes and their fields are as 5etools writes
 * them.
 */
export function applyMods(original: Fields, mods: Fields): Modified {
  const unknown: string[] = []
  const result = changesOf(original, mods).reduce((made, [field, change]) => {
    const changed = applyOne(made, field, change)
    if (changed === undefined) unknown.push(textOf(fieldsOf(change).mode) || JSON.stringify(change).slice(0, 40))
    return changed ?? made
  }, original)
  return { result, unknown }
}

function changesOf(original: Fields, mods: Fields): readonly (readonly [string, unknown])[] {
  return Object.entries(mods).flatMap(([field, changes]) => {
    const targets = field === '*' ? named.filter((name) => name in original) : [field]
    return listOf(changes).flatMap((change) => targets.map((target) => [target, change] as const))
  })
}

function applyOne(whole: Fields, field: string, change: unknown): Fields | undefined {
  if (change === 'remove') return without(whole, field)
  if (!isFields(change)) return undefined
  const value = whole[field]
  const set = (next: unknown): Fields | undefined => (next === undefined ? undefined : { ...whole, [field]: next })
  return set(changeList(listOf(value), change)) ?? set(changeScalar(value, change)) ?? changeWhole(whole, field, change)
}

function without(whole: Fields, field: string): Fields {
  return Object.fromEntries(Object.entries(whole).filter(([name]) => name !== field))
}

function changeList(list: readonly unknown[], change: Fields): readonly unknown[] | undefined {
  const items = listOf(change.items)
  const names = new Set(listOf(change.names ?? change.items).map(textOf))
  switch (change.mode) {
    case 'appendArr':
      return [...list, ...items]
    case 'prependArr':
      return [...items, ...list]
    case 'insertArr':
      return list.toSpliced(numberOf(change.index) ?? list.length, 0, ...items)
    case 'appendIfNotExistsArr':
      return [...list, ...items.filter((item) => !list.some((old) => JSON.stringify(old) === JSON.stringify(item)))]
    case 'removeArr':
      return list.filter((item) => !names.has(nameOf(item)))
    case 'replaceArr':
      return replaceItem(list, change.replace, items)
    case 'replaceOrAppendArr':
      return indexOf(list, change.replace) < 0 ? [...list, ...items] : replaceItem(list, change.replace, items)
    case 'renameArr':
      return listOf(change.renames).reduce<readonly unknown[]>((all, pair) => renameItem(all, fieldsOf(pair)), list)
    default:
      return undefined
  }
}

function nameOf(item: unknown): string {
  return isFields(item) ? textOf(item.name) : textOf(item)
}

function indexOf(list: readonly unknown[], wanted: unknown): number {
  const index = numberOf(fieldsOf(wanted).index)
  return index ?? list.findIndex((item) => nameOf(item) === nameOf(wanted))
}

function replaceItem(list: readonly unknown[], wanted: unknown, items: readonly unknown[]): readonly unknown[] {
  const index = indexOf(list, wanted)
  return index < 0 ? list : list.toSpliced(index, 1, ...items)
}

function renameItem(list: readonly unknown[], { rename, with: name }: Fields): readonly unknown[] {
  return list.map((item) => (isFields(item) && item.name === rename ? { ...item, name } : item))
}

function changeScalar(value: unknown, change: Fields): unknown {
  switch (change.mode) {
    case 'replaceTxt':
      return replaceText(value ?? [], replacer(change))
    case 'appendStr':
      return [textOf(value), textOf(change.str)].filter(Boolean).join(textOf(change.joiner))
    case 'scalarAddProp':
      return addTo(value, change, (old, more) => old + more)
    case 'scalarMultProp':
      return addTo(value, change, (old, more) => Math.floor(old * more))
    case 'scalarAddHit':
      return raise(value, /\{@hit ([-+]?\d+)/g, '{@hit ', change)
    case 'scalarAddDc':
      return raise(value, /\{@dc (\d+)/g, '{@dc ', change)
    default:
      return undefined
  }
}

function replacer(change: Fields): (text: string) => string {
  const flags = `g${textOf(change.flags).replace(/[^imsu]/g, '')}`
  const pattern = compile(textOf(change.replace), flags)
  return (text) => text.replace(pattern, textOf(change.with))
}

/** A pattern that is none is taken for the text itself. */
function compile(pattern: string, flags: string): RegExp {
  try {
    return new RegExp(pattern, flags)
  } catch {
    return new RegExp(pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'), flags)
  }
}

/** In every text below, except names of types. */
function replaceText(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === 'string') return replace(value)
  if (Array.isArray(value)) return value.map((item) => replaceText(item, replace))
  if (!isFields(value)) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([k, v]) => [k, k === 'type' ? v : replaceText(v, replace)]))
}

function addTo(value: unknown, change: Fields, add: (old: number, more: number) => number): unknown {
  const more = numberOf(change.scalar) ?? 0
  const changeNumber = (old: unknown): unknown => {
    const number = Number(old)
    if (!Number.isFinite(number)) return old
    const sum = add(number, more)
    return typeof old === 'number' ? sum : `${sum >= 0 ? '+' : ''}${sum}`
  }
  if (!isFields(value)) return changeNumber(value)
  const touched = ([k, v]: [string, unknown]) => [k, change.prop === '*' || change.prop === k ? changeNumber(v) : v]
  return Object.fromEntries(Object.entries(value).map(touched))
}

function raise(value: unknown, pattern: RegExp, start: string, change: Fields): unknown {
  const more = numberOf(change.scalar) ?? 0
  return replaceText(value ?? [], (text) =>
    text.replace(pattern, (_, number: string) => `${start}${Number(number) + more}`),
  )
}

function changeWhole(whole: Fields, field: string, change: Fields): Fields | undefined {
  switch (change.mode) {
    case 'setProp':
      return field === '_' || field === '*' ? { ...whole, [textOf(change.prop)]: change.value } : undefined
    case 'setProps':
      return { ...whole, ...fieldsOf(change.props) }
    case 'addSenses':
      return { ...whole, senses: [...listOf(whole.senses), ...listOf(change.senses).map(senseText)] }
    default:
      return undefined
  }
}

function senseText(sense: unknown): string {
  const { type, range } = fieldsOf(sense)
  return `${textOf(type)} ${textOf(range)} ft.`
}
