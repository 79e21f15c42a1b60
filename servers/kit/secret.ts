import { readFileSync } from 'node:fs'
import type { Environment } from './environment.ts'

/** A value that HTTP carries as it is (RFC 9110, 5.5). */
const sendable = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/**
 * A credential of the environment: the variable, or what is in the file that `<name>_FILE` names, without its line end.
 * @throws Error with one line, which does not hold it.
 */
export function readSecret(name: string, variables: Environment = process.env): string {
  const value = variables[name] || fromFile(`${name}_FILE`, variables)
  if (value === undefined || value === '') throw new Error(`${name} is not set: give it, or its file as ${name}_FILE`)
  if (sendable.test(value)) return value
  throw new Error(`${name} cannot be sent in a header: it must be one line of letters, digits and signs of ASCII`)
}

function fromFile(name: string, variables: Environment): string | undefined {
  const path = variables[name]
  if (path === undefined || path === '') return undefined
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new Error(`${name}=${JSON.stringify(path)}: ${cause instanceof Error ? cause.message : 'unreadable'}`, {
      cause,
    })
  }
}
