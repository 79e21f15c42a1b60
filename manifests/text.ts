import { z } from 'zod'

/** A value as a message shows it: short, on one line, without control characters. */
export function found(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return quote(value)
  return typeof value === 'number' ? `the number ${value}` : `${value}`
}

/** Text in double quotes, cut at 60 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text)
}

/** A file's path as a message shows it: in quotes only where it would not fit on a line. */
export function printFile(path: string): string {
  return /\p{Cc}/u.test(path) ? JSON.stringify(path) : path
}

/** Text of one form; a message names what is allowed and what was found. */
export function text(form: RegExp, allowed: string) {
  const error = ({ input }: { readonly input?: unknown }) =>
    input === undefined ? `required: ${allowed}` : `expected ${allowed}, found ${found(input)}`
  return z.string({ error }).regex(form, { error })
}

/** Text that a sentence can be wrong about: `wrong` gives that sentence, or nothing when the text is right. */
export function judged(wrong: (value: string) => string | undefined) {
  return z.string().superRefine((value, context) => {
    const message = wrong(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })
}
