import { glob, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What git writes to before it is done, and what it locks with. */
const unfinished = ['objects/*/tmp_*', '*.lock', 'refs/*/*.lock']

/**
 * Takes away what git had begun to write into a bare repository and did not end, which it does by itself only after weeks or never:
 * a large pack that breaks off each time would fill the disk. No git may be at work there.
 */
export async function sweepLeftovers(folder: string): Promise<void> {
  for await (const file of glob(unfinished, { cwd: folder }))
    await rm(join(folder, file), { recursive: true, force: true })
}
