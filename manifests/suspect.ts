/** What is not to be trusted in what a tool says of itself. */
export const suspectKinds = ['hidden', 'look-alike', 'reference'] as const
export type SuspectKind = (typeof suspectKinds)[number]

export type TextPath = readonly (string | number)[]

/** One text of a value, or one of its keys. */
export interface Placed {
  readonly path: TextPath
  readonly on: 'key' | 'value'
  readonly text: string
}

export interface Suspicion {
  readonly kind: SuspectKind
  readonly path: TextPath
  readonly on: 'key' | 'value'
  /** In words that need no context. */
  readonly what: string
}

/** Every text in a JSON value, keys too. */
export function* textsOf(value: unknown, path: TextPath = []): Generator<Placed> {
  if (typeof value === 'string') yield { path, on: 'value', text: value }
  else if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* textsOf(item, [...path, index])
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      yield { path: [...path, key], on: 'key', text: key }
      yield* textsOf(item, [...path, key])
    }
}

/** Characters that nobody sees, and letters that are taken for others, in all texts of a value. */
export function suspicionsOf(value: unknown): readonly Suspicion[] {
  return [...textsOf(value)].flatMap(({ path, on, text }) => {
    const hidden = wrongCharacters(text)
    const alike = wrongLetters(text)
    return [
      ...(hidden === undefined ? [] : [{ kind: 'hidden' as const, path, on, what: hidden }]),
      ...(alike === undefined ? [] : [{ kind: 'look-alike' as const, path, on, what: alike }]),
    ]
  })
}

/** What is hidden in a text, in words; undefined if nothing is. */
export function wrongCharacters(text: string): string | undefined {
  const found = hiddenIn(text)
  if (found.length === 0) return undefined
  const names = [...new Set(found.map(nameOf))]
  const tags = found.map(spelled).join('')
  const more = names.length > shown ? ` and ${names.length - shown} more` : ''
  const said = tags === '' ? '' : `; they spell ${JSON.stringify(tags.slice(0, 60))}`
  return `${names.length === 1 ? 'a hidden character' : 'hidden characters'}: ${names.slice(0, shown).join(', ')}${more}${said}`
}

/** The hidden characters of a text with their places, escaped as JSON and YAML understand it. */
export function escaped(text: string): string {
  return text.replace(allMarks(), (whole, hidden: string | undefined) =>
    hidden === undefined ? whole : escapeOf(hidden),
  )
}

export function hiddenIn(text: string): readonly string[] {
  if (!suspicious.test(text)) return []
  return [...text.matchAll(allMarks())].flatMap(([, hidden]) => hidden ?? [])
}

const shown = 3
/** Nothing of it is drawn, or it changes how what is around it is drawn (Unicode: Default_Ignorable_Code_Point and others). */
const suspicious = /[[\p{DI}\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFF9-\uFFFB\u2800]--[\t\n\r]]/v
/** Scripts whose letters are joined or not by what is not drawn itself. */
const joining =
  '\\p{sc=Arab}\\p{sc=Syrc}\\p{sc=Deva}\\p{sc=Beng}\\p{sc=Guru}\\p{sc=Gujr}\\p{sc=Orya}\\p{sc=Taml}\\p{sc=Telu}\\p{sc=Knda}\\p{sc=Mlym}\\p{sc=Sinh}\\p{sc=Khmr}\\p{sc=Mymr}\\p{sc=Tibt}'
const picture = '\\p{Extended_Pictographic}[\\u{1F3FB}-\\u{1F3FF}\\uFE0F]?'
/** Where the same characters belong: in emoji, after ideographs, between letters that they join. */
const fair = [
  '\\p{RGI_Emoji}',
  `(?:${picture}\\u200D)+${picture}`,
  '\\p{Extended_Pictographic}[\\uFE0E\\uFE0F]',
  '\\p{sc=Han}[\\uFE00-\\uFE02\\u{E0100}-\\u{E01EF}]',
  '\\p{sc=Mong}[\\u180B-\\u180F]',
  `(?<=[${joining}])[\\u200C\\u200D](?=[${joining}])`,
]
let marks: RegExp | undefined

/** All emoji are many milliseconds' work, which few texts need. */
function allMarks(): RegExp {
  marks ??= new RegExp(`${fair.join('|')}|(${suspicious.source})`, 'gv')
  return marks
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const digits = code.toString(16).toUpperCase().padStart(4, '0')
  const kind = kinds.find(([form]) => form.test(character))?.[1] ?? 'not drawn'
  return `U+${digits} (${kind})`
}

const kinds: readonly (readonly [RegExp, string])[] = [
  [/[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/u, 'changes the direction of text'],
  [/[\u{E0000}-\u{E007F}]/u, 'a tag'],
  [/[\uFE00-\uFE0F\u{E0100}-\u{E01EF}\u180B-\u180D\u180F]/u, 'a variation selector'],
  [/[\u200B-\u200D\u2060\uFEFF\u180E]/u, 'of no width'],
  [/\p{Cc}/u, 'a control character'],
  [/[\p{Zl}\p{Zp}]/u, 'a separator'],
  [/\p{Cs}/u, 'half a character'],
]

/** Tags stand for ASCII, and are how whole sentences are hidden. */
function spelled(character: string): string {
  const code = (character.codePointAt(0) ?? 0) - 0xe0000
  return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ''
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const digits = code.toString(16).toUpperCase()
  return code > 0xffff ? `\\U${digits.padStart(8, '0')}` : `\\u${digits.padStart(4, '0')}`
}

const words = /[\p{L}\p{M}]+/gu
const others = /[\p{sc=Cyrillic}ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιρυν]/u

/** A word of Latin letters with one of another script that looks like one of them. */
function wrongLetters(text: string): string | undefined {
  if (!others.test(text)) return undefined
  for (const [word] of text.matchAll(words)) {
    const strange = [...word].find((letter) => others.test(letter))
    if (strange === undefined || !/\p{sc=Latin}/u.test(word)) continue
    return `${JSON.stringify(word.slice(0, 40))} has a letter of another script that looks Latin: ${codeOf(strange)}`
  }
  return undefined
}

function codeOf(letter: string): string {
  return `U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}
