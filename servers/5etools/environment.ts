import { join } from 'node:path'
import { z } from 'zod'

/** What the server reads beside what the kit reads. */
export const settingsSchema = z.object({
  /** Holds 5etools' `data` folder, or is it. */
  FIVETOOLS_DATA_DIR: z.string().default(join(import.meta.dirname, 'data')),
  /** Which rules a tool looks at when the caller does not say. */
  FIVETOOLS_EDITION: z.enum(['2014', '2024', 'any'], 'give 2014, 2024 or any').default('any'),
  /** A folder of homebrew files; its entries come before those of the same name. */
  FIVETOOLS_HOMEBREW_DIR: z.string().optional(),
})

export type Settings = z.infer<typeof settingsSchema>
