import { afterAll, beforeAll } from 'vitest'
import { launchProgram, type Program } from './program.ts'

/** One program for all tests of a suite. */
export function sharedProgram(main: string, env: Readonly<Record<string, string>> = {}) {
  let program: Program | undefined
  beforeAll(async () => {
    program = await launchProgram(main, env)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
  })
  return {
    url: () => {
      if (program === undefined) throw new Error('not started yet')
      return program.url
    },
  }
}
