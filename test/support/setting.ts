import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { usual } from './environment.ts'
import { freePort } from './port.ts'

export type Runtime = 'docker' | 'process'

export const webhookSecret = randomBytes(16).toString('hex')

/** Where a gateway is to be, and what its controller finds in its environment. */
export interface Setting {
  readonly instance: string
  readonly state: string
  /** Where agents connect, without `/mcp`. */
  readonly endpoint: string
  /** The status page. */
  readonly face: string
  readonly env: Readonly<Record<string, string>>
}

/** An instance, a state folder and ports of its own. */
export async function settingOf(runtime: Runtime, env: Readonly<Record<string, string>>): Promise<Setting> {
  const state = await mkdtemp(join(tmpdir(), 'gateway-'))
  const instance = env.GATEWAY_INSTANCE ?? `test-${randomBytes(3).toString('hex')}`
  const [agents, people] = [await freePort(), await freePort()]
  return {
    instance,
    state,
    endpoint: `http://127.0.0.1:${agents}`,
    face: `http://127.0.0.1:${people}`,
    env: {
      ...usual,
      LANG: 'C.UTF-8',
      ...networkVariables(),
      GATEWAY_INSTANCE: instance,
      GATEWAY_STATE: state,
      GATEWAY_SECRETS: join(state, 'secrets.env'),
      GATEWAY_RUNTIME: runtime,
      GATEWAY_POLL: '*/1 * * * * *',
      GATEWAY_PROXY_LISTEN: `127.0.0.1:${agents}`,
      GATEWAY_LISTEN: `127.0.0.1:${people}`,
      GATEWAY_WEBHOOK_SECRET: webhookSecret,
      ...env,
    },
  }
}

/** What a machine behind a proxy of its own needs to reach a package registry. */
function networkVariables(): Record<string, string> {
  const wanted = /^(https?_proxy|no_proxy|npm_config_\w+|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      wanted.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}
