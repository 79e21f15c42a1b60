import { wholeNumber } from './input.ts'

/** Variables of every server that draws. */
export const renderSettings = {
  /** Milliseconds that one drawing may take. */
  RENDER_TIMEOUT_MS: wholeNumber(500, 20_000).default(10_000),
  /** Drawings at a time. */
  RENDER_CONCURRENCY: wholeNumber(1, 8).default(2),
}
