import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientKinds, connectMatrixClient } from '../support/matrix/clients.ts'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'

let upstream: Upstream
let proxy: OpenProxy
beforeAll(async () => {
  upstream = await openUpstream('v1-stateless')
  proxy = await openProxy()
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', upstream.origin) } })
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

describe.each([
  ['/mcp', 's__'],
  ['/mcp/s', ''],
])('a legacy server without sessions at %s', (path, lead) => {
  test.each(clientKinds)('is listed and called by a %s client, and tells it of progress', async (kind) => {
    await using client = await connectMatrixClient(kind, proxy.url + path, as('a'))
    expect(await client.tools()).toEqual(expect.arrayContaining([`${lead}echo`, `${lead}secret`]))
    expect(await client.call(`${lead}echo`, { text: 'hi' })).toBe('hi')
    const steps: number[] = []
    const onprogress = ({ progress }: { readonly progress: number }) => void steps.push(progress)
    expect(await client.call(`${lead}count`, {}, { onprogress })).toBe('counted')
    expect(steps).toEqual([1, 2, 3])
  })
})
