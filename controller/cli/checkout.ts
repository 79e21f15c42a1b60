import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** The folder that this program runs from. */
export const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export function readVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')))
    .version
}
