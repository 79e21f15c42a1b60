import type { Clash } from '#manifests/table.ts'

/** What cannot be reached at the joint endpoint, in a line that people read. */
export function describeClash({ kind, name, of }: Clash): string {
  return `${kind} ${name} cannot be reached at /mcp: ${of} has one that is called so`
}
