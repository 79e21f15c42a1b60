import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { postModern } from '../support/modern.ts'
import { agentWith, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let old: Upstream
const grants = { old: wholeGrant }
const agents = { a: agentWith('a', grants), b: agentWith('b', grants) }
beforeEach(async () => {
  proxy = await openProxy()
  old = await openUpstream('v1-sessions')
  proxy.use({ agents, servers: { old: serverAt('old', old.origin) } })
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
})

const inputResponses = { r1: { action: 'accept', content: { name: 'Ann' } } }

function call(agent: string, more: Record<string, unknown> = {}, capabilities: object = { elicitation: {} }) {
  const params = { name: 'old__ask', arguments: {}, ...more }
  return postModern(proxy, { method: 'tools/call', params, agent, id: 7, capabilities })
}

/** What the server was told of it that a call is over. */
const cancelled = () => old.seen.filter(({ body }) => body.includes('notifications/cancelled')).length

describe('a legacy server asks a modern client', () => {
  test('which is asked again while it answers something else', async () => {
    const { result } = (await call('a')).json
    expect(result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { r1: { method: 'elicitation/create' } },
    })
    const { requestState } = result
    const other = (await call('a', { requestState, inputResponses: { another: { action: 'accept' } } })).json
    expect(other.result).toMatchObject({ resultType: 'input_required', inputRequests: { r1: {} } })
    const done = (await call('a', { requestState, inputResponses })).json
    expect([done.id, done.result.resultType]).toEqual([7, 'complete'])
    expect((await call('a', { requestState, inputResponses })).json.error.code).toBe(-32602)
  })

  test('and takes its answer from nobody else, and for no other request', async () => {
    const { requestState } = (await call('a')).json.result
    for (const answer of [
      await call('b', { requestState, inputResponses }),
      await call('a', { requestState, inputResponses, arguments: { other: true } }),
      await call('a', { requestState: `${requestState.slice(0, -3)}AAA`, inputResponses }),
    ])
      expect(answer.json.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') })
    expect((await call('a', { requestState, inputResponses })).json.result.resultType).toBe('complete')
  })

  test('only if that says that it can be asked', async () => {
    expect((await call('a', {}, {})).json.result).toMatchObject({ isError: true })
    expect((await call('a', {}, { sampling: {} })).json.result).toMatchObject({ isError: true })
  })

  test('and is told when its agent loses the server', async () => {
    const { requestState } = (await call('a')).json.result
    proxy.use({ agents: { b: agents.b, a: agentWith('a', {}) }, servers: { old: serverAt('old', old.origin) } })
    await until('the call is cancelled', () => cancelled() === 1)
    proxy.use({ agents, servers: { old: serverAt('old', old.origin) } })
    const { error } = (await call('a', { requestState, inputResponses })).json
    expect(error.message).toContain('taken away')
  })
})
