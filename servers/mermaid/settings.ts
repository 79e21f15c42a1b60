import { z } from 'zod'
import { wholeNumber } from '../kit/input.ts'
import { renderSettings } from '../kit/render-settings.ts'

/** What this server reads beside HOST, PORT and LOG_LEVEL, and beside what finds Chromium. */
export const mermaidSettings = z.object({
  MERMAID_MAX_TEXT: wholeNumber(100, 1_000_000).default(50_000),
  ...renderSettings,
})
