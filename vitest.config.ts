import { defineConfig } from 'vitest/config'
import { SkippedSuites } from './test/support/skipped.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/machine.ts', 'test/support/layers.ts'],
    reporters: [new SkippedSuites(), 'default'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
})
