import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Gateway } from './gateway.ts'

const bin = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))
const run = promisify(execFile)

/** `gateway …` as an operator of that controller types it: what it prints. Throws where it fails, with `stderr` and `code`. */
export async function typed({ state }: Pick<Gateway, 'state'>, ...args: readonly string[]): Promise<string> {
  return (await run(process.execPath, [bin, ...args, '--state', state])).stdout
}
