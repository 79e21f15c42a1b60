import { z } from 'zod'
import { renderSettings } from '../kit/render-settings.ts'

/** What this server reads beside HOST, PORT and LOG_LEVEL, and beside what finds Chromium. */
export const infographicSettings = z.object({
  INFOGRAPHIC_FONT: z
    .string()
    .regex(/^[\p{L}\p{N} "',_-]{1,200}$/u, 'give a list of font families as in CSS')
    .default('"Noto Sans CJK SC", sans-serif'),
  ...renderSettings,
})
