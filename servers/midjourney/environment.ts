import { z } from 'zod'

const megabyte = 2 ** 20

/** What the server reads beside what the kit reads, and beside its key. */
export const settingsSchema = z.object({
  MIDJOURNEY_API_URL: z
    .url({ protocol: /^https?$/, error: 'give the address of the service, such as https://api.midapi.ai' })
    .default('https://api.midapi.ai')
    .transform((url) => new URL(url)),
  /** Tasks and pictures lie in it. */
  MIDJOURNEY_STATE_DIR: z.string('give a folder that outlives the server'),
  /** The longest time between two looks at a task in its first minutes, ms. */
  MIDJOURNEY_POLL_MS: z.coerce.number('give milliseconds').int().min(30).max(300_000).default(30_000),
  /** Read as MB, kept as bytes. */
  MIDJOURNEY_KEEP_MB: z.coerce
    .number('give megabytes')
    .int()
    .min(1)
    .max(1_000_000)
    .default(2_000)
    .transform((amount) => amount * megabyte),
})
