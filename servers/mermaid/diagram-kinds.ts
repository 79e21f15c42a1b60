import { readdirSync, readFileSync } from 'node:fs'

/** A kind of diagram: its name, what it shows, and an example that draws as it stands. */
export interface DiagramKind {
  readonly name: string
  readonly shows: string
  readonly example: string
}

/** Every kind has a file in `examples/`, named as mermaid names the kind; its first line says what the kind shows. */
export function readDiagramKinds(): readonly DiagramKind[] {
  const folder = new URL('./examples/', import.meta.url)
  return readdirSync(folder)
    .filter((file) => file.endsWith('.mmd'))
    .sort()
    .map((file) => {
      const [first = '', ...rest] = readFileSync(new URL(file, folder), 'utf8').split('\n')
      return { name: file.slice(0, -4), shows: first.replace(/^%%\s*/, ''), example: rest.join('\n').trim() }
    })
}

/** The kind's name for mermaid's id of it, which may carry a version or a layout. */
export function kindOf(type: string): string {
  return type.replace(/-(?:v2|elk)$/, '')
}
