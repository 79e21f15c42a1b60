import type { Reporter, TestModule, TestSuite } from 'vitest/node'

/** Names each suite that was skipped, and why, before vitest's own summary. */
export class SkippedSuites implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules)
      for (const suite of module.children.allSuites())
        if (wasSkipped(suite)) console.log(` ↓ ${module.relativeModuleId} ${suite.name}`)
  }
}

/** Not those inside of one, which say no reason of their own. */
function wasSkipped({ options, parent }: TestSuite): boolean {
  return options.mode === 'skip' && (parent.type === 'module' || parent.options.mode !== 'skip')
}
