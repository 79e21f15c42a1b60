import { expect } from 'vitest'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import type { Change } from '../support/repository.ts'
import { createRepository } from '../support/repository.ts'
import type { Runtime } from '../support/setting.ts'
import { callSmall, smallServer } from '../support/small-server.ts'

/**
 * Two controllers on one instance and twenty deliveries for a server that has a volume of its own; `runs` tells how many of the
 * server run. `more` is what its folder has on this host.
 */
export async function rivals(
  runtime: Runtime,
  runs: (gateway: Gateway) => Promise<number>,
  more: Readonly<Record<string, Change>> = {},
): Promise<void> {
  const agent = testToken()
  const notes = (word: string) => ({
    ...smallServer('notes', { word, manifest: 'volumes: ["notes:/data"]', env: { NOTES: '/data' } }),
    ...more,
  })
  await using repository = await createRepository()
  const first = await repository.publish({
    ...notes('first'),
    'manifests/permissions.yaml': `agents:\n  alpha: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
  })
  await using gateway = await startGateway(runtime, { GATEWAY_REPO: repository.bare })
  await gateway.becomes(first)
  await using _ = gateway.startRival()
  const watch = keepCounting(() => runs(gateway))
  let head = first
  for (let index = 0; index < 20; index++) {
    head = await repository.publish(notes(`word ${index}`))
    expect(await gateway.deliver()).toBe(202)
    await pause(250)
  }
  expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
  expect(await callSmall(`${gateway.endpoint}/mcp/notes`, agent.token, 'word')).toBe('word 19')
  expect(await watch.stop()).toBe(1)
}

/** Counts again and again until told to stop; gives the most that it found. */
function keepCounting(count: () => Promise<number>) {
  let most = 0
  let isWatching = true
  const watching = (async () => {
    while (isWatching) {
      most = Math.max(most, await count())
      await pause(10)
    }
  })()
  return {
    async stop(): Promise<number> {
      isWatching = false
      await watching
      return most
    },
  }
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))
