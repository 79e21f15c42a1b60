import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { gitEnvironment } from '../source/git-environment.ts'
import { Fault } from './fault.ts'

const run = promisify(execFile)
const limit = 60_000

/** Runs git in a folder, without the user's own configuration. Throws a Fault that begins with `purpose`. */
export async function git(folder: string, args: readonly string[], purpose: string, input = ''): Promise<string> {
  const env = gitEnvironment(folder, process.env.PATH === undefined ? {} : { PATH: process.env.PATH })
  const asked = run('git', args, { cwd: folder, env, timeout: limit, maxBuffer: 64 * 2 ** 20 })
  asked.child.stdin?.on('error', () => {}).end(input)
  try {
    return (await asked).stdout
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      throw new Fault('git is not on the PATH; install it', { cause })
    throw new Fault(`${purpose}: ${reasonOf(cause)}`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if ('killed' in cause && cause.killed === true) return `git took more than ${limit / 1000} s`
  const said = 'stderr' in cause && typeof cause.stderr === 'string' ? cause.stderr.trim() : ''
  return (
    said
      .split('\n')
      .at(-1)
      ?.replace(/^(fatal|error): /, '') || cause.message
  )
}
