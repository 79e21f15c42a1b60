import { expect } from 'vitest'
import type { Status } from '#manifests/status.ts'
import type { Gateway } from './gateway.ts'
import type { Change, Repository } from './repository.ts'
import { until } from './until.ts'

/** A gateway, and the repository that it follows. */
export interface Scene {
  readonly repository: Repository
  readonly gateway: Gateway
}

/** Pushes a commit and tells the controller, which may be dead; gives the commit's hash. */
export async function publish(
  { repository, gateway }: Scene,
  files: Readonly<Record<string, Change>>,
): Promise<string> {
  const head = await repository.publish(files)
  await gateway.deliver().catch(() => undefined)
  return head
}

export type More = (status: Status, scene: Scene) => boolean

/** Whether a commit is so, and `more` too, and nothing is under way any more. */
export async function isSettled(scene: Scene, head: string, more: More = () => true): Promise<boolean> {
  const status = await scene.gateway.status()
  const { attempted, servers, proxies, revision } = status
  if (attempted?.commit !== head || attempted.phase !== 'applied') return false
  const isCalm = servers.every(({ phase, reason }) => phase === 'ready' && /^(serves|rolled back) /.test(reason))
  return isCalm && proxies.every(({ have }) => have === revision) && more(status, scene)
}

/** Waits until what was committed last is settled. */
export async function settled(scene: Scene, more?: More, limit = 60_000): Promise<void> {
  const head = await scene.repository.git('rev-parse', 'HEAD')
  await until('nothing is under way', () => isSettled(scene, head, more), limit)
}

/** Another commit with the same content finds nothing to do. */
export async function isAtRest(scene: Scene): Promise<void> {
  const { plan } = await scene.gateway.becomes(await publish(scene, {}))
  expect(plan).toEqual(['0 to build, 0 to replace, 0 to remove'])
}
