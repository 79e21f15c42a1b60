import { z } from 'zod'

const count = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

/** What this server reads beside HOST, PORT and LOG_LEVEL, and beside what finds Chromium. */
export const infographicSettings = z.object({
  INFOGRAPHIC_FONT: z
    .string()
    .regex(/^[\p{L}\p{N} "',_-]{1,200}$/u, 'give a list of font families as in CSS')
    .default('"Noto Sans CJK SC", sans-serif'),
  RENDER_TIMEOUT_MS: count(500, 20_000).default(10_000),
  RENDER_CONCURRENCY: count(1, 8).default(2),
})
