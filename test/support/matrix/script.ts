/** What servers of both generations have in common. */
export const promptNames = ['prompt-1', 'prompt-2', 'prompt-3', 'prompt-4', 'prompt-5'] as const

export const question = {
  form: 'Your name?',
  visit: 'Please sign in',
  url: 'https://example.com/sign-in',
  sample: 'Write a haiku',
} as const

export const nameForm = { type: 'object' as const, properties: { name: { type: 'string' as const } } }

export const words = (text: string) => ({ type: 'text' as const, text })
export const say = (text: string) => ({ content: [words(text)] })

const pageSize = 2

/** Some of the prompts, and where the next ones begin; undefined for a cursor that nobody gave out. */
export function pageOf(cursor: string | undefined) {
  const [, from] = /^from (\d)$/.exec(cursor ?? 'from 0') ?? []
  if (from === undefined) return undefined
  const end = Number(from) + pageSize
  const prompts = promptNames.slice(Number(from), end).map((name) => ({ name }))
  return end < promptNames.length ? { prompts, nextCursor: `from ${end}` } : { prompts }
}
