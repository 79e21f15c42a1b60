import type { OutsideServer, ServerFile } from '#manifests/server.ts'
import type { Server } from '../desired.ts'
import { contentHash } from './content-hash.ts'

const usualStdio = { sessions: 8, idle: 600_000 }

/** A server that its own file names, from what is in the file and what it runs. */
export function createServer(name: string, file: ServerFile, runs: Server['runs']): Server {
  const { description, command, stdio, port, health, start, timeout, drain, env, volumes, mounts, limits } = file
  const { egress, user, tmpfs, seccomp, prefix = defaultPrefix(name) } = file
  const secrets = Object.fromEntries(file.secrets.map(({ variable, name }) => [variable, name]))
  const path = runs.kind === 'url' ? pathOf(runs.url) : file.path
  const container = {
    ...(command && { command }),
    ...(stdio && { stdio: stdio === true ? usualStdio : stdio }),
    ...(user !== undefined && { user }),
    ...{ port, env, secrets, volumes, mounts, limits, egress, tmpfs, seccomp },
  }
  const auth = runs.kind === 'url' && file.auth !== undefined ? { auth: file.auth } : {}
  const budgets = budgetsOf(file)
  const route = {
    ...{ path, start, timeout, drain, prefix, description },
    ...(health !== undefined && { health }),
    ...(budgets !== undefined && { budgets }),
  }
  return {
    name,
    runs,
    ...container,
    ...route,
    ...auth,
    ...(file.tools === 'warn' ? {} : { lock: { mode: file.tools, tools: [] } }),
    config: contentHash('config', stdio === false ? container : { ...container, path, health }),
    route: contentHash('route', runs.kind === 'url' ? { ...route, ...auth, url: runs.url } : route),
    loosens: [...loosened(container), ...sendings({ runs, ...auth })],
  }
}

/** A budget that names no tools is of the tool whose name it has. */
function budgetsOf({ budget }: ServerFile): Server['budgets'] {
  const entries = Object.entries(budget).map(
    ([name, { calls, per, tools = [name] }]) => [name, { calls, per, tools }] as const,
  )
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** A server of the permissions file: as one with a file that says nothing but its url. */
export function createOutside(name: string, { url, description }: OutsideServer, usual: ServerFile): Server {
  return createServer(name, { ...usual, description }, { kind: 'url', url })
}

/** The name, with `_` before a digit: a tool's name begins with a letter or `_`. */
export function defaultPrefix(name: string): string {
  return /^\d/.test(name) ? `_${name}` : name
}

/** Which secret is sent to which host, in words. */
export function sendings({ runs, auth }: Pick<Server, 'runs' | 'auth'>): readonly string[] {
  if (runs.kind !== 'url' || auth === undefined) return []
  return [`sends the secret ${auth.secret} to ${new URL(runs.url).origin}`]
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return pathname + search
}

/** Whether a URL leads to the machine, or the container, that asks. */
export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    /^127\./.test(host) ||
    host === '::1' ||
    host === '0.0.0.0' ||
    host === '::'
  )
}

function loosened({
  user,
  seccomp,
  volumes,
  secrets,
}: Pick<Server, 'user' | 'seccomp' | 'volumes' | 'secrets'>): readonly string[] {
  return [
    ...(user !== undefined && /^0+(?::|$)/.test(user) ? [`runs as root (user: ${user})`] : []),
    ...(seccomp === 'default' ? [] : [`may make the system calls that Chromium’s sandbox needs (seccomp: ${seccomp})`]),
    ...volumes
      .filter(({ shared }) => shared)
      .map(({ source }) => `two containers may write to its volume "${source}" at once (shared: true)`),
    ...Object.entries(secrets).map(
      ([variable, name]) => `gets the secret ${name}${variable === name ? '' : ` as ${variable}`}`,
    ),
  ]
}
