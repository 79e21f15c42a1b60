import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Loaded into a process before its program: between `watch` and `tell` of whoever started it, looks how long its loop was blocked. */
const resolution = 1
const delay = monitorEventLoopDelay({ resolution })

process.on('message', (word) => {
  if (word === 'watch') {
    delay.reset()
    delay.enable()
  } else {
    delay.disable()
    process.send?.(Math.max(0, delay.max / 1e6 - resolution))
  }
})
