import { isUtf8 } from 'node:buffer'
import type { ManifestFault } from '../desired.ts'

export type Decoded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly fault: ManifestFault }

/** UTF-8, with or without a byte order mark, and without control characters; anything else is one fault. */
export function decode(file: string, body: Buffer): Decoded {
  const refuse = (message: string, line = 1, column = 1): Decoded => ({
    ok: false,
    fault: { file, line, column, at: '', message },
  })
  if (isUtf16(body)) return refuse('this is UTF-16: save it as UTF-8')
  if (!isUtf8(body)) {
    const place = firstBadByte(body)
    return refuse(`byte 0x${place.byte} is not UTF-8: save the file as UTF-8`, place.line, place.column)
  }
  const text = body.toString('utf8').replace(/^\ufeff/, '')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text)
  if (control === null) return { ok: true, text }
  const before = text.slice(0, control.index).split('\n')
  const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  return refuse(
    `the control character U+${code} cannot be in a manifest`,
    before.length,
    (before.at(-1)?.length ?? 0) + 1,
  )
}

function isUtf16(body: Buffer): boolean {
  const mark = body.readUInt16BE.bind(body)
  if (body.length < 2) return false
  if (mark(0) === 0xfeff || mark(0) === 0xfffe) return true
  return (
    body.length >= 4 &&
    (body[0] === 0) !== (body[1] === 0) &&
    (body[0] === 0) === (body[2] === 0) &&
    (body[1] === 0) === (body[3] === 0)
  )
}

function firstBadByte(body: Buffer): { readonly byte: string; readonly line: number; readonly column: number } {
  let line = 1
  let from = 0
  for (let end = body.indexOf(0x0a); end >= 0 && isUtf8(body.subarray(from, end)); end = body.indexOf(0x0a, from)) {
    line++
    from = end + 1
  }
  const end = body.indexOf(0x0a, from)
  const text = body.subarray(from, end < 0 ? undefined : end).toString('utf8')
  const good = text.slice(0, text.indexOf('\ufffd'))
  const byte = body[from + Buffer.byteLength(good)] ?? 0
  return { byte: byte.toString(16).toUpperCase().padStart(2, '0'), line, column: good.length + 1 }
}
