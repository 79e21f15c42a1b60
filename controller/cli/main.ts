#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { z } from 'zod'
import { addDown } from './down.ts'
import { Fault } from './fault.ts'
import { addHistory } from './history.ts'
import { addReconcile } from './reconcile.ts'
import { addStatus } from './status.ts'
import { addToken } from './token.ts'

const verbs = [addStatus, addHistory, addReconcile, addDown, addToken]

function createProgram(): Command {
  const program = new Command('gateway')
    .description('governs a gateway by its git repository')
    .version(readVersion())
    .configureOutput({ outputError: (text, write) => write(oneLine(text)) })
  for (const add of verbs) add(program)
  return program
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).version
}

/** commander puts the nearest name on a line of its own. */
function oneLine(text: string): string {
  return `gateway: ${text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')}\n`
}

try {
  await createProgram().parseAsync()
} catch (error) {
  if (!(error instanceof Fault)) throw error
  process.stderr.write(`gateway: ${error.message}\n`)
  process.exitCode = 1
}
