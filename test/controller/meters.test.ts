import { expect, test } from 'vitest'
import type { Status } from '#manifests/status.ts'
import { createMeters } from '../../controller/meters.ts'
import { serverStatus } from '../support/controller.ts'

const status: Status = {
  instance: 'gateway',
  version: '1.2.3',
  repository: 'https://forge.example/homelab/gateway.git',
  branch: 'main',
  source: { ok: true, reason: 'answers', at: '2030-01-02T03:04:05.000Z' },
  host: { ok: false, reason: 'does not answer' },
  revision: 7,
  proxies: [{ name: 'gateway-proxy', have: 7, live: true, reason: 'up to date' }],
  servers: [serverStatus('wiki', { calls: 2 }), serverStatus('5etools', { phase: 'stalled' })],
}

const heard = new Map([
  [
    'gateway-proxy',
    { report: { proxy: 'gateway-proxy', have: 7, counters: { requests: 12, errors: 1 }, generations: {} }, at: 0 },
  ],
])

const lines = async (meters: ReturnType<typeof createMeters>, more: Partial<Status> = {}) =>
  (await meters.text({ ...status, ...more }, heard)).split('\n').filter((line) => !line.startsWith('#'))

test('tells what is true now, and what the proxies have counted', async () => {
  expect(await lines(createMeters())).toEqual(
    expect.arrayContaining([
      'gateway_info{instance="gateway",version="1.2.3"} 1',
      'gateway_source_up 1',
      'gateway_host_up 0',
      'gateway_source_last_success_timestamp_seconds 1893553445',
      'gateway_table_revision 7',
      'gateway_server_info{server="5etools",phase="stalled"} 1',
      'gateway_server_ready{server="wiki"} 1',
      'gateway_server_ready{server="5etools"} 0',
      'gateway_server_calls{server="wiki"} 2',
      'gateway_proxy_up{proxy="gateway-proxy"} 1',
      'gateway_proxy_events_total{proxy="gateway-proxy",event="requests"} 12',
    ]),
  )
})

test('tells of each budget what is taken, of how much, and until when', async () => {
  const paint = { used: 1, calls: 2, per: 'day', resets: '2030-01-03T00:00:00.000Z' } as const
  expect(await lines(createMeters(), { servers: [serverStatus('wiki', { budgets: { paint } })] })).toEqual(
    expect.arrayContaining([
      'gateway_budget_used{server="wiki",budget="paint"} 1',
      'gateway_budget_limit{server="wiki",budget="paint"} 2',
      'gateway_budget_resets_timestamp_seconds{server="wiki",budget="paint"} 1893628800',
    ]),
  )
})

test('counts what happens, and forgets a server that is gone', async () => {
  const meters = createMeters()
  meters.passed('host', 'failed', 0.2)
  meters.rolled('wiki', 'done', 12)
  meters.healed('wiki')
  meters.webhook('missed')
  await lines(meters)
  const then = await lines(meters, { servers: [] })
  expect(then).toEqual(
    expect.arrayContaining([
      'gateway_pass_duration_seconds_count{half="host",outcome="failed"} 1',
      'gateway_rollout_duration_seconds_bucket{le="15",server="wiki",outcome="done"} 1',
      'gateway_heals_total{server="wiki"} 1',
      'gateway_webhook_deliveries_total{outcome="missed"} 1',
    ]),
  )
  expect(then.filter((line) => line.startsWith('gateway_server'))).toEqual([])
})
