import type { CommitStatus } from '#manifests/status.ts'
import type { CommitState, NewStatus } from './client.ts'

/** What a commit is shown as, before it is known at which address people read more. */
export interface Said extends Omit<NewStatus, 'url'> {
  /** Below that address; default the commit's own page. */
  readonly page?: string
}

/** Names that go into branch protection. */
export const contexts = {
  validate: 'gateway/validate',
  grants: 'gateway/grants',
  deploy: 'gateway/deploy',
  server: (name: string) => `gateway/deploy/${name}`,
}

const longest = 140
const mostServers = 100
const mostLines = 500

/**
 * What the forge is to show of a commit of the branch; nothing of one that is merely seen. `pending` is on its way, `success` as
 * the commit says, `failure` the author's to put right, `error` ours, `warning` neither good nor failed: held, suspended, rolled
 * back, or overtaken before it was done, for which Forgejo has no state of its own. Pure.
 */
export function statusesOf(status: CommitStatus): readonly Said[] {
  const { phase } = status
  if (phase === 'seen' || phase === 'verified') return []
  const { changed = [] } = status
  // Nobody reads a status each of hundreds of servers, and the forge keeps a row for each.
  if (changed.length > mostServers) return [deployStatus(status), grantsStatus(status)]
  return [deployStatus(status), grantsStatus(status), ...changed.flatMap((name) => serverStatus(name, status))]
}

function deployStatus(status: CommitStatus): Said {
  const { phase, reason, errors, plan } = status
  const { deploy } = contexts
  switch (phase) {
    case 'seen':
    case 'verified':
    case 'planned':
      return say(deploy, 'pending', plan.at(-1) ?? reason)
    case 'applying':
      // What is said meanwhile stays the same, so that the forge hears of transitions alone.
      return isOurs(reason) ? say(deploy, 'error', reason) : say(deploy, 'pending', plan.at(-1) ?? reason)
    case 'applied':
      return say(deploy, isRolledBack(status) ? 'warning' : 'success', reason)
    case 'degraded':
      return say(deploy, isAuthors(status) ? 'failure' : 'warning', reason)
    case 'rejected':
      return say(deploy, 'failure', errors[0] ?? reason)
    case 'held':
    case 'superseded':
      return say(deploy, 'warning', reason)
    default:
      return phase satisfies never
  }
}

function grantsStatus({ phase, reason, errors, grants }: CommitStatus): Said {
  const context = contexts.grants
  switch (phase) {
    case 'rejected':
      return say(context, 'failure', `only what it takes away is in force: ${errors[0] ?? reason}`)
    case 'held':
    case 'superseded':
      return say(context, 'warning', reason)
    case 'applied':
      return say(context, 'success', 'in force at every proxy')
    case 'degraded':
      return grants === 'published'
        ? say(context, 'success', 'in force at every proxy')
        : say(context, 'warning', 'what is granted on servers that are not ready waits for them')
    case 'seen':
    case 'verified':
    case 'planned':
    case 'applying':
      return grants === 'published'
        ? say(context, 'success', 'in force at every proxy')
        : say(context, 'pending', 'what it takes away is gone; what it grants waits for its servers')
    default:
      return phase satisfies never
  }
}

/** Nothing where a server that was done is being healed: that is no news of the commit. */
function serverStatus(name: string, { phase, reason, servers, plan }: CommitStatus): readonly Said[] {
  const context = contexts.server(name)
  const server = servers[name]
  if (phase === 'superseded') return [say(context, 'warning', reason)]
  if (phase === 'planned') return [say(context, 'pending', lineOf(name, plan))]
  if (server === undefined) return [say(context, 'success', 'as the commit says')]
  switch (server.phase) {
    case 'deploying':
      if (phase !== 'applying') return []
      return [
        isOurs(server.reason) ? say(context, 'error', server.reason) : say(context, 'pending', lineOf(name, plan)),
      ]
    case 'stalled':
      return [say(context, 'failure', server.reason)]
    case 'waiting':
    case 'suspended':
    case 'ready':
      return [say(context, 'warning', server.reason)]
    case 'removed':
      return [say(context, 'success', server.reason)]
    default:
      return server.phase satisfies never
  }
}

function isRolledBack({ servers }: CommitStatus): boolean {
  return Object.values(servers).some(({ phase }) => phase === 'ready')
}

function isAuthors({ servers }: CommitStatus): boolean {
  return Object.values(servers).some(({ phase }) => phase === 'stalled')
}

/** What is tried again by itself is no fault of the commit. */
function isOurs(reason: string): boolean {
  return /^(tried again|no proxy runs): /.test(reason)
}

/** The plan's line about a server; a plan that nobody reads to its end is not searched to its end. */
function lineOf(name: string, plan: readonly string[]): string {
  const line = plan.slice(0, mostLines).find((text) => text.split(/\s+/, 2)[1] === name)
  return line?.replace(/\s+/g, ' ') ?? 'planned'
}

/** One line, as long as a forge shows it. */
export function say(context: string, state: CommitState, reason: string): Said {
  const line = reason.replace(/\s+/g, ' ').trim()
  const description = line.length > longest ? `${line.slice(0, longest - 1)}…` : line
  return { context, state, description }
}
