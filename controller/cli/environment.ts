import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Config, ConfigError, readConfig } from '../config/config.ts'
import { Fault } from './fault.ts'
import type { Runtime } from './runtime.ts'

/** What `gateway start` decides beside the environment. */
export interface Chosen {
  readonly state: string
  readonly repo: string
  readonly runtime: Runtime
  /** Where agents connect; the status page is 10 further. */
  readonly port?: number | undefined
}

const Saved = z.record(z.string().regex(/^GATEWAY_/), z.string())
const usualPort = 3100

/** The environment is honoured; what it does not give is what suits one person's machine. */
export function environmentOf({ state, repo, runtime, port }: Chosen): Readonly<Record<string, string>> {
  return {
    GATEWAY_POLL: '*/2 * * * * *',
    GATEWAY_INSTANCE: `dev-${createHash('sha256').update(state).digest('hex').slice(0, 6)}`,
    LOG_LEVEL: 'warn',
    ...ports(usualPort),
    ...given(),
    ...(port === undefined ? {} : ports(port)),
    GATEWAY_STATE: state,
    GATEWAY_REPO: repo,
    GATEWAY_RUNTIME: runtime,
  }
}

function ports(port: number): Readonly<Record<string, string>> {
  return { GATEWAY_PROXY_LISTEN: `127.0.0.1:${port}`, GATEWAY_LISTEN: `127.0.0.1:${port + 10}` }
}

function given(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : [])))
}

/** Throws a Fault with a line for each wrong variable. */
export function configure(environment: Readonly<Record<string, string>>): Config {
  try {
    return readConfig(environment)
  } catch (cause) {
    if (cause instanceof ConfigError) throw new Fault(cause.message, { cause })
    throw cause
  }
}

/** Remembers in the state how its gateway was started, for whoever must clean up behind it. Holds no secret. */
export async function remember(state: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const kept = ['INSTANCE', 'RUNTIME', 'REPO', 'PROXY_LISTEN', 'LISTEN'].map((name) => `GATEWAY_${name}`)
  const saved = Object.fromEntries(Object.entries(environment).filter(([name]) => kept.includes(name)))
  await writeFile(join(state, 'start.json'), JSON.stringify(saved), { mode: 0o600 })
}

/** How a gateway was started in this state, and else what the environment says. Throws a Fault. */
export async function recall(state: string): Promise<Config> {
  const file = join(state, 'start.json')
  const saved = readSaved(file, await readFile(file, 'utf8').catch(() => '{}'))
  return configure({ ...given(), ...saved, GATEWAY_STATE: state })
}

function readSaved(file: string, text: string): z.infer<typeof Saved> {
  try {
    return Saved.parse(JSON.parse(text))
  } catch (cause) {
    throw new Fault(`${file} cannot be read: remove it`, { cause })
  }
}
