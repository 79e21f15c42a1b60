/** npm passes Ctrl-C on to a program that the terminal has told already. */
const sameKeypress = 1_000

/** Aborts at the first Ctrl-C, TERM or hang-up; a second one that is meant as such ends the process at once. */
export function stopOnSignals(tell: () => void): AbortSignal {
  const stop = new AbortController()
  let first = 0
  const take = () => {
    if (first !== 0 && Date.now() - first > sameKeypress) process.exit(130)
    if (first !== 0) return
    first = Date.now()
    tell()
    stop.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, take)
  // A terminal that is closed takes its output along, and what runs must be stopped nevertheless.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  return stop.signal
}
