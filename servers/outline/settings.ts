import { z } from 'zod'
import { readSecret } from '../kit/secret.ts'

const flag = z.stringbool({ error: 'give true or false' }).default(false)
const limit = 'give milliseconds, 1000 to 40000'
const address = z
  .string()
  .refine(isPlain, 'give an address such as https://wiki.example.org, without a user')
  .transform((text) => text.replace(/[?#].*$/, '').replace(/\/+$/, ''))

/** What this server reads beside HOST, PORT and LOG_LEVEL. */
export const outlineSettings = z.object({
  /** Ends with `/api`, whether or not it was given so. */
  OUTLINE_API_URL: address
    .default('https://app.getoutline.com/api')
    .transform((url) => (url.endsWith('/api') ? url : `${url}/api`)),
  /** Where people open the wiki, if that is not where its API is reached. */
  OUTLINE_WEB_URL: address.optional(),
  OUTLINE_READ_ONLY: flag,
  OUTLINE_ALLOW_UPDATE: flag,
  OUTLINE_TIMEOUT_MS: z
    .string()
    .regex(/^\d{1,5}$/, limit)
    .transform(Number)
    .pipe(z.number().min(1_000, limit).max(40_000, limit))
    .default(20_000),
})

export type Settings = z.infer<typeof outlineSettings>

export type Key =
  | { readonly kind: 'given'; readonly value: string }
  | { readonly kind: 'lacking'; readonly why: string }

const advice = 'Whoever runs it makes a key in Outline under Settings, API & Apps.'

/** OUTLINE_API_KEY, or its file, which is read anew each time: it may come, or change, while the server runs. */
export function readKey(): Key {
  try {
    return { kind: 'given', value: readSecret('OUTLINE_API_KEY') }
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    return { kind: 'lacking', why: `This server cannot ask Outline: ${what}. ${advice}` }
  }
}

function isPlain(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  return /^https?:$/.test(protocol) && username + password === ''
}
