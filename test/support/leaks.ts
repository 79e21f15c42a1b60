import { randomBytes } from 'node:crypto'

/** What must not be found, by what people call it. */
export type Values = Readonly<Record<string, string>>

/** A value of this run alone, which reads otherwise in every form that text is carried in. */
export function randomSecret(): string {
  return `"${randomBytes(12).toString('hex')} \\+/ü&<$%`
}

/** The same of letters that a header and a URL take as they are. */
export function randomToken(): string {
  return randomBytes(20).toString('hex')
}

/** `where: name as form` for each value that a text or some bytes hold, in whatever form. */
export function leaksIn(where: string, content: string | Buffer, values: Values): string[] {
  const bytes = Buffer.from(content)
  return Object.entries(values).flatMap(([name, value]) =>
    formsOf(value).flatMap(([form, text]) => (bytes.includes(text) ? [`${where}: ${name} as ${form}`] : [])),
  )
}

function formsOf(value: string): (readonly [string, string])[] {
  const json = JSON.stringify(value).slice(1, -1)
  const html = value.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`)
  const named = value.replace(/[&<>"]/g, (letter) => entities[letter] ?? letter)
  const hex = Buffer.from(value).toString('hex')
  const url = encodeURIComponent(value)
  return [
    ['it is', value],
    ['JSON', json],
    ['JSON in JSON', JSON.stringify(json).slice(1, -1)],
    ['ASCII JSON', json.replace(/[^ -~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)],
    ['HTML', html],
    ['HTML', named],
    ['a URL', url],
    ['a URL', encodeURI(value)],
    ['a form', url.replaceAll('%20', '+')],
    ['hex', hex],
    ['hex', hex.toUpperCase()],
    ...([0, 1, 2] as const).flatMap((before) => inBase64(value, before)),
  ]
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** What of a base64 text stands for the value alone, when so many bytes stand before it in its first group. */
function inBase64(value: string, before: 0 | 1 | 2): (readonly [string, string])[] {
  const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(value)])
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 3))
  const text = whole.toString('base64').slice(before === 0 ? 0 : 4)
  return [
    ['base64', text],
    ['base64url', text.replaceAll('+', '-').replaceAll('/', '_')],
  ]
}
