import { createHash } from 'node:crypto'
import type { ManifestFault } from '../desired.ts'
import type { Manifest, Path } from './manifest.ts'

const guesses = [
  '',
  ' ',
  'token',
  '<token>',
  '$TOKEN',
  'TOKEN',
  'secret',
  'password',
  'changeme',
  'test',
  'admin',
  'agent',
  'example',
  'null',
  'undefined',
]
const weak = new Map(guesses.flatMap((guess) => [guess, `${guess}\n`]).map((guess) => [sha256(guess), guess]))

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Whose hash it is, and where it stands. */
export interface PlacedHash {
  readonly agent: string
  readonly path: Path
  readonly hash: string
}

/** Well-formed hashes in an agent's `token_hash`, whatever else is wrong with it. */
export function placedHashes(agent: string, path: Path, raw: unknown): readonly PlacedHash[] {
  const single = !Array.isArray(raw)
  const values: readonly unknown[] = single ? [raw] : raw
  return values.flatMap((value, index) =>
    typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)
      ? [{ agent, path: single ? path : [...path, index], hash: value.slice('sha256:'.length) }]
      : [],
  )
}

/** Hashes that anybody can guess the token of, and hashes that are there twice. */
export function faultsOfHashes(manifest: Manifest, hashes: readonly PlacedHash[]): readonly ManifestFault[] {
  const owners = new Map<string, string>()
  return hashes.flatMap(({ agent, path, hash }) => {
    const owner = owners.get(hash)
    owners.set(hash, owner ?? agent)
    const wrong = weakness(hash, agent) ?? repetition(owner, agent)
    return wrong === undefined ? [] : [manifest.fault(path, wrong)]
  })
}

function weakness(hash: string, agent: string): string | undefined {
  const way = ': "gateway token new AGENT" makes a token and prints its hash'
  if (/^(.)\1*$/.test(hash) || '0123456789abcdef'.repeat(4) === hash) return `this is a placeholder, not a hash${way}`
  const guess = weak.get(hash)
  if (guess !== undefined) return `this is the hash of ${JSON.stringify(guess)}, not of a token${way}`
  if (hash === sha256(agent) || hash === sha256(`${agent}\n`)) return `this is the hash of the agent’s own name${way}`
}

function repetition(owner: string | undefined, agent: string): string | undefined {
  if (owner === undefined) return
  return owner === agent
    ? 'this hash is in the list already'
    : `agent "${owner}" has the same token: each needs its own`
}
