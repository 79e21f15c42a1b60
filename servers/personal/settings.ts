import { IANAZone } from 'luxon'
import { z } from 'zod'

/** What the server reads beside HOST, PORT and LOG_LEVEL. */
export const settingsSchema = z.object({
  /** The folder that holds the exports, at any depth; only ever read. */
  PERSONAL_DATA_DIR: z.string('give the folder that holds the exports'),
  /** Whose days and hours count, and what a time without a zone means. */
  PERSONAL_TZ: z
    .string()
    .refine((name) => IANAZone.isValidZone(name), 'give a time zone such as Europe/Berlin')
    .default('UTC'),
  /** Seconds between two looks at the folder, beside those that a change calls for. */
  PERSONAL_RELOAD_SECONDS: z.coerce
    .number('give a number of seconds')
    .min(1, 'give 1 to 86400 seconds')
    .max(86_400, 'give 1 to 86400 seconds')
    .default(60),
  /** Of files that do not say it: Garmin's distances, a column of weights. */
  PERSONAL_UNITS: z.enum(['metric', 'imperial'], 'give metric or imperial').default('metric'),
  /** Whether notes to activities and weights are left out of answers. */
  PERSONAL_REDACT: z.enum(['on', 'off'], 'give on or off').default('on'),
})

export type Settings = z.infer<typeof settingsSchema>
export type Units = Settings['PERSONAL_UNITS']
