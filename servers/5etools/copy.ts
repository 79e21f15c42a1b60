import { type Fields, fieldsOf, fold, isFields, listOf, textOf } from './fields.ts'
import { applyMods } from './mod.ts'

/** An object of the data that may be written as a change of another: `_copy` names that one, `_mod` the changes. */
export interface Original {
  /** What can be a copy of what: the kind. */
  readonly kind: string
  readonly raw: Fields
}

export interface Copies {
  /** The object with everything that it takes from others. */
  readonly resolve: (original: Original) => Fields
  /** One line for each thing that could not be resolved. */
  readonly faults: readonly string[]
}

/** Belongs to the original's printing, not to what is copied from it, unless `_preserve` says so. */
const ofThePrinting = new Set(
  ['page', 'otherSources', 'srd', 'srd52', 'basicRules', 'basicRules2024', 'reprintedAs', 'additionalSources'].concat([
    'hasFluff',
    'hasFluffImages',
    'hasToken',
    'soundClip',
    'altArt',
    'legendaryGroup',
    '_versions',
  ]),
)

/** Resolves copies among all objects that were read. */
export function createCopies(originals: readonly Original[], templates: readonly Fields[]): Copies {
  const byName = new Map(originals.map((original) => [keyOf(original.kind, original.raw), original]))
  const templatesByName = new Map(templates.map((template) => [keyOf('template', template), template]))
  const faults: string[] = []

  const resolve = ({ kind, raw }: Original, trail: readonly string[] = []): Fields => {
    const copy = raw._copy
    if (!isFields(copy)) return raw
    const wanted = keyOf(kind, copy)
    const title = `${textOf(raw.name)} (${textOf(raw.source)})`
    const parent = byName.get(wanted)
    if (parent === undefined || trail.includes(wanted)) {
      const why = parent === undefined ? 'which was not found' : 'which is a copy of it again'
      faults.push(`${kind} ${title} is a copy of ${textOf(copy.name)} (${textOf(copy.source)}), ${why}`)
      return overlay({}, raw)
    }
    const base = inherited(resolve(parent, [...trail, wanted]), copy)
    const shaped = listOf(copy._templates ?? copy._trait)
      .map((name) => templatesByName.get(keyOf('template', fieldsOf(name))))
      .reduce<Fields>((made, template) => useTemplate(made, template), overlay(base, raw))
    const { result, unknown } = applyMods(shaped, fieldsOf(copy._mod))
    faults.push(...unknown.map((mode) => `${kind} ${title}: a change of the kind "${mode}" is not applied`))
    return result
  }
  return { resolve: (original) => resolve(original, [keyOf(original.kind, original.raw)]), faults }
}

function keyOf(kind: string, named: Fields): string {
  return [kind, fold(textOf(named.name)), fold(textOf(named.source)), ...scope(named)].join('|')
}

/** Features are named within their class, so a name alone is not one of them. */
function scope(named: Fields): readonly string[] {
  return [named.raceName, named.className, named.subclassShortName, named.level].map(textOf).filter(Boolean)
}

function inherited(parent: Fields, copy: Fields): Fields {
  const preserve = fieldsOf(copy._preserve)
  const kept = ([name]: [string, unknown]) =>
    preserve['*'] === true || preserve[name] === true || !ofThePrinting.has(name)
  return Object.fromEntries(Object.entries(parent).filter(kept))
}

/** The child's own fields win; null takes the parent's away. */
function overlay(parent: Fields, child: Fields): Fields {
  const { _copy, ...own } = child
  return Object.fromEntries(Object.entries({ ...parent, ...own }).filter(([, value]) => value !== null))
}

function useTemplate(made: Fields, template: Fields | undefined): Fields {
  const apply = fieldsOf(template?.apply)
  return applyMods({ ...made, ...fieldsOf(apply._root) }, fieldsOf(apply._mod)).result
}
