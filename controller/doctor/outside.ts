import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Status } from '#manifests/status.ts'
import type { Config } from '../config/config.ts'
import { contexts } from '../forge/statuses.ts'
import { openSource } from '../source/source.ts'
import { type Check, fail, ok, warn, wordsOf } from './check.ts'

const fetchWithin = 120_000

/** Without a controller to ask: whether a mirror of our own can be made. */
export async function checkRepository({ source }: Pick<Config, 'source'>): Promise<Check> {
  const state = await mkdtemp(join(tmpdir(), 'gateway-doctor-'))
  const signal = AbortSignal.timeout(fetchWithin)
  try {
    const tree = await (await openSource({ ...source, state })).fetch(signal)
    return ok('repository', `${source.branch} is at ${tree.commit.slice(0, 12)}`)
  } catch (error) {
    return fail('repository', signal.aborted ? 'does not answer in time' : wordsOf(error))
  } finally {
    await rm(state, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** What announces changes, who is told, and which names branch protection can require. */
export function checkForge({ webhookSecrets, forge, status }: Config): readonly Check[] {
  const operator = status.operatorToken
  return [
    webhookSecrets.length === 0
      ? warn('webhook', 'none: changes are found by polling alone; GATEWAY_WEBHOOK_SECRET makes it quicker')
      : ok('webhook', `${status.url ?? 'GATEWAY_STATUS_URL'}/webhook/forgejo is listened to`),
    forge === undefined
      ? warn(
          'forge',
          'is told nothing (GATEWAY_FORGE_URL, GATEWAY_FORGE_TOKEN): require the check of the workflow in the branch’s protection, "gateway / validate (pull_request)"',
        )
      : ok(
          'forge',
          `${forge.repository} is told; require "gateway/validate" in the branch’s protection (commits get ${contexts.deploy})`,
        ),
    operator === undefined
      ? warn('operator', 'no GATEWAY_OPERATOR_TOKEN: access and logs are told on the machine only')
      : ok('operator', 'a token opens the full view'),
  ]
}

/** What a running controller says of itself. */
export function checkStatus(status: Status): readonly Check[] {
  const { source, host, proxies, forge, webhook, attempted } = status
  const of = (what: string, { ok: fine, reason }: { readonly ok: boolean; readonly reason: string }) =>
    fine ? ok(what, reason) : fail(what, reason)
  const live = proxies.filter((one) => one.live)
  return [
    of('repository', source),
    of('host', host),
    ...(forge === undefined ? [] : [of('forge told', forge)]),
    ...(webhook === undefined || webhook.ok ? [] : [warn('webhook heard', webhook.reason)]),
    live.length === 0
      ? fail('proxies', 'none runs: agents are not served; "gateway logs gateway" tells more')
      : ok('proxies', live.map(({ name, reason }) => `${name} ${reason}`).join('; ')),
    attempted === undefined
      ? warn('commit', 'none was seen yet')
      : (attempted.phase === 'applied' ? ok : warn)(
          'commit',
          `${attempted.commit.slice(0, 12)} is ${attempted.phase}: ${attempted.reason}`,
        ),
  ]
}
