import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { JourneysFirst } from './test/support/order.ts'
import { SkippedSuites } from './test/support/skipped.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/machine.ts', 'test/support/layers.ts'],
    reporters: [new SkippedSuites(), 'default'],
    // Most wait for processes and containers most of the time.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: JourneysFirst },
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/code', import.meta.url)) },
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
})
