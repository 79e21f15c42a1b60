import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { log } from '../../servers/kit/log.ts'
import { run } from '../../servers/kit/run.ts'
import { serve } from '../../servers/kit/serve.ts'
import { addTool, type McpServer } from '../../servers/kit/tool.ts'

const about = { title: 'Slow', description: 'Takes its time', input: z.strictObject({}) }

function register(server: McpServer): void {
  addTool(server, { ...about, name: 'wait' }, async (_, signal) => {
    log.info('waiting')
    await sleep(1_000, undefined, { signal })
    return 'done'
  })
  addTool(server, { ...about, name: 'hang' }, async () => {
    log.info('hanging')
    await sleep(60_000)
    return 'never'
  })
}

await run(() => serve({ name: 'kit-program', version: '1' }, register))
