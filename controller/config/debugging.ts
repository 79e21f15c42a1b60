import { quoted } from './variable.ts'

/** What prints all that passes through it if it is told to: all that the engine is told. */
const telltale = 'modem'

/** Parts of Node that print the environment of child processes, and the headers of requests. */
const tellingParts = ['child_process', 'net']

/** Refuses what would print secrets, a line for each variable. */
export function debuggingFaults(given: ReadonlyMap<string, string>): readonly string[] {
  const [debug, node] = [given.get('DEBUG') ?? '', given.get('NODE_DEBUG') ?? '']
  const parts = debug.split(/[\s,]+/)
  const isWoken = !parts.includes(`-${telltale}*`) && parts.some((part) => wakes(part, telltale))
  const isTelling = node.split(',').some((part) => tellingParts.some((name) => matches(part.toLowerCase(), name)))
  return [
    ...(isWoken ? [`DEBUG: found ${quoted(debug)}, which prints secrets, allowed is *,-modem*`] : []),
    ...(isTelling
      ? [
          `NODE_DEBUG: found ${quoted(node)}, which prints secrets, allowed is what matches none of child_process and net`,
        ]
      : []),
  ]
}

function wakes(part: string, name: string): boolean {
  return part.startsWith(name) || matches(part, name)
}

/** Whether a pattern that ends in `*` may mean something of that name. */
function matches(part: string, name: string): boolean {
  return part === name || (part.includes('*') && name.startsWith(part.replace(/\*.*$/s, '')))
}
