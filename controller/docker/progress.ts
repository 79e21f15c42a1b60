import { z } from 'zod'

const Progress = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  errorDetail: z.object({ message: z.string() }).optional(),
})

/** What a person wants to read of one event of a build or pull, and the error that ended it. */
export function progressLines(event: unknown): { readonly lines: readonly string[]; readonly error?: string } {
  const { stream, status, error, errorDetail } = Progress.parse(event)
  const failure = errorDetail?.message ?? error
  if (failure !== undefined) return { lines: [], error: failure }
  return { lines: stream === undefined ? (status === undefined ? [] : [status]) : readable(stream) }
}

/** A step's name, or what it printed, which arrives as base64 although the rest of the event is decoded. */
function readable(stream: string): readonly string[] {
  const text = stream.trimEnd()
  if (/: \d+% \(\d+\/\d+\)$/.test(text)) return []
  if (text !== '' && text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text))
    return Buffer.from(text, 'base64').toString().trimEnd().split(/\r?\n/)
  return [text.replace(/^\[sha256:[0-9a-f]+\] /, '')]
}
