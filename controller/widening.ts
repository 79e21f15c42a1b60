import { grantChanges } from './admission.ts'
import { sendings } from './compile/server.ts'
import type { Desired, Server } from './desired.ts'

/** What a commit gives to anybody or anything that it did not have, in words. Pure. */
export function widenings(head: Desired, base: Desired): readonly string[] {
  const grants = grantChanges(tableAgents(base), head.agents).filter(({ kind }) => kind === 'grant')
  const fresh = Object.keys(head.agents).filter((name) => base.agents[name] === undefined)
  const named = fresh.filter((name) => !grants.some(({ agent }) => agent === name))
  const newOwners = owners(head).filter((name) => base.agents[name]?.owner !== true)
  const secrets = Object.values(head.servers).flatMap((server) => gainedSecrets(server, base))
  return [
    ...named.map((name) => `${name} is a new agent`),
    ...grants.map(({ agent, because }) => `${agent} ${because}`),
    ...newOwners.map((name) => `${name} becomes an owner`),
    ...secrets,
    ...(isSame(head.settings, base.settings) ? [] : ['gateway.yaml changes']),
  ]
}

/**
 * What of a commit is left out of `applied`, whole: words may be the same for two tokens, and what is approved must not be.
 */
export function without(head: Desired, applied: Desired): unknown {
  const agents = Object.entries(head.agents).filter(([name, agent]) => !isSame(agent, applied.agents[name]))
  const servers = Object.entries(head.servers)
    .filter(([name, server]) => !isSame(server, applied.servers[name]))
    .map(([name, { secrets, runs, config, auth }]) => [name, secrets, imageOf(runs), config, ...(auth ? [auth] : [])])
  return [agents.sort(byName), servers.sort(byName), isSame(head.settings, applied.settings) ? [] : head.settings]
}

function imageOf(runs: Server['runs']): string {
  return runs.kind === 'build' ? runs.input.hash : JSON.stringify(runs)
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

export function owners({ agents }: Desired): string[] {
  return Object.keys(agents).filter((name) => agents[name]?.owner)
}

/** Which values of the secrets file a server, or the host that its requests go to, comes to see, in words. */
export function gainedSecrets(server: Server, base: Desired): readonly string[] {
  const { name, secrets } = server
  const had = base.servers[name]
  const before = new Set(Object.values(had?.secrets ?? {}))
  const gained = [...new Set(Object.values(secrets))].filter((secret) => !before.has(secret)).sort()
  // Another way to the same host shows nobody more.
  const sentBefore = had === undefined ? [] : sendings(had)
  return [
    ...(gained.length === 0 ? [] : [`${name} gains the secret ${gained.join(', ')}`]),
    ...sendings(server).flatMap((sending) => (sentBefore.includes(sending) ? [] : [`${name} ${sending}`])),
  ]
}

export function entryOf<T>(record: Readonly<Record<string, T>>, name: string): [string, T][] {
  const found = record[name]
  return found === undefined ? [] : [[name, found]]
}

function tableAgents({ agents }: Desired) {
  return Object.fromEntries(
    Object.entries(agents).map(([name, { hashes, grants, expires }]) => [
      name,
      { hashes: [...hashes], grants: { ...grants }, ...(expires === undefined ? {} : { expires }) },
    ]),
  )
}
