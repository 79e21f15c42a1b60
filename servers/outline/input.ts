import { z } from 'zod'
import { wholeNumber } from '../kit/input.ts'

export const offset = wholeNumber(0, 1_000_000)

export const documentId = z
  .string('give the document’s id or address')
  .trim()
  .min(1, 'give the document’s id or address')
  .max(2_000, 'at most 2000 characters')
  .describe('A document: its id (UUID), its address, or the end of that (runbook-jsckoBDRDh)')

/** In full, without a flag: a JSON Schema has none. */
export const uuid = /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/

export const collectionId = z
  .string()
  .trim()
  .regex(uuid, 'give a collection’s id, a UUID, as list_collections shows it')

const longest = 1_536_000
const missing = 'give Markdown'
export const markdown = z.string(missing).min(1, missing).max(longest, `at most ${longest} characters`)
