import { z } from 'zod'

const count = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

/** What this server reads beside HOST, PORT and LOG_LEVEL, and beside what finds Chromium. */
export const mermaidSettings = z.object({
  MERMAID_MAX_TEXT: count(100, 1_000_000).default(50_000),
  RENDER_TIMEOUT_MS: count(500, 20_000).default(10_000),
  RENDER_CONCURRENCY: count(1, 8).default(2),
})
