import { pino } from 'pino'
import { z } from 'zod'
import { ask } from '../cli/ask.ts'
import { checkout } from '../cli/checkout.ts'
import { type Config, readConfig } from '../config/config.ts'
import { openEngine, ownContainer } from '../docker/docker.ts'
import { openConfiguredHost } from '../open-host.ts'
import { differences } from './check.ts'
import { readRecord, tagOf, writeRecord } from './record.ts'
import { goBack, prepareSwap, type Scene, swap } from './swap.ts'

/** All of it; a build was before it. */
const within = 300_000

const Arguments = z.tuple([z.string(), z.string(), z.string()])
const Ready = z.object({ ok: z.boolean(), reasons: z.array(z.string()) })

/** Runs from the new version: puts it in the place of the old controller, if it would change nothing else. */
async function update(config: Config, signal: AbortSignal): Promise<void> {
  const [old, commit, ref] = Arguments.parse(process.argv.slice(2))
  const { state, instance } = config
  const engine = openEngine(config.engine)
  const log = pino({ level: config.logLevel })
  const scene: Scene = { engine, instance, state, lacks: () => lacks(state) }
  const record = await readRecord(state)
  if (record?.phase === 'returning' && record.old === old)
    return void (await goBack(scene, record, record.reason, signal))
  if (record?.phase === 'swapping' && record.old === old) return void (await swap(scene, record, signal))
  if ((await engine.container(old, signal)) === undefined) return
  const host = await openConfiguredHost(config, { folder: checkout, log }, signal)
  const lines = await differences({ config, host, commit, log }, signal)
  if (lines.length > 0) {
    const reason = `the new version would change more than itself: ${lines.join('; ')}`
    return writeRecord(state, { phase: 'refused', ref, commit, reason, ...tagOf(record) })
  }
  const image = await engine.image(ref, signal)
  if (image === undefined) throw new Error(`the image ${ref} is gone`)
  await swap(scene, await prepareSwap(scene, old, { image: { ref, id: image.Id }, commit }, signal), signal)
}

async function lacks(state: string): Promise<readonly string[]> {
  const { ok, reasons } = Ready.parse(await ask({ state }, { path: '/readyz', within: 5_000 }))
  return ok ? [] : reasons
}

try {
  const config = readConfig(process.env)
  const signal = AbortSignal.timeout(within)
  await update(config, signal)
  // Nobody is told to wait for it any more; the engine ends this process as it removes what it runs in.
  const own = await ownContainer(signal, config.engine)
  if (own !== undefined) await openEngine(config.engine).removeContainer(own.id, 'even running', signal)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
