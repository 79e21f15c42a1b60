#!/usr/bin/env node
import { Command } from 'commander'
import { readVersion } from './checkout.ts'
import { Fault } from './fault.ts'
import { complain } from './print.ts'

const addWishes = async () => (await import('./wishes.ts')).addWishes
const wishes = { approve: addWishes, suspend: addWishes, resume: addWishes, retry: addWishes, rollback: addWishes }

/** Each is loaded only when it is asked for, or when all are shown: some bring the whole controller along. */
const verbs: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  start: async () => (await import('./start.ts')).addStart,
  validate: async () => (await import('./validate.ts')).addValidate,
  plan: async () => (await import('./plan.ts')).addPlan,
  status: async () => (await import('./status.ts')).addStatus,
  explain: async () => (await import('./explain.ts')).addExplain,
  logs: async () => (await import('./logs.ts')).addLogs,
  lock: async () => (await import('./lock.ts')).addLock,
  history: async () => (await import('./history.ts')).addHistory,
  reconcile: async () => (await import('./reconcile.ts')).addReconcile,
  ...wishes,
  down: async () => (await import('./down.ts')).addDown,
  adopt: async () => (await import('./adopt.ts')).addAdopt,
  init: async () => (await import('./init.ts')).addInit,
  import: async () => (await import('./import.ts')).addImport,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
  token: async () => (await import('./token.ts')).addToken,
}

async function createProgram(asked: string): Promise<Command> {
  const program = new Command('gateway')
    .description('governs a gateway by its git repository')
    .version(readVersion())
    .configureOutput({ outputError: (text, write) => write(oneLine(text)) })
  const names = Object.hasOwn(verbs, asked) ? [asked] : Object.keys(verbs)
  for (const add of new Set(names.map((name) => verbs[name]))) (await add?.())?.(program)
  return program
}

/** commander puts the nearest name on a line of its own. */
function oneLine(text: string): string {
  return `gateway: ${text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')}\n`
}

try {
  await (await createProgram(process.argv[2] ?? '')).parseAsync()
} catch (error) {
  if (!(error instanceof Fault)) throw error
  complain(...error.message.split('\n').map((line) => `gateway: ${line}`))
  process.exitCode = 1
}
