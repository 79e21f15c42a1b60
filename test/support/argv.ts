import { readFileSync } from 'node:fs'

/** Looks again and again at what a process has started, and keeps each argument list; disposing ends that. */
export function watchArguments(pid: () => number | undefined): Disposable & { readonly seen: ReadonlySet<string> } {
  const seen = new Set<string>()
  const timer = setInterval(() => {
    for (const child of descendants(pid() ?? 0)) seen.add(textOf(`/proc/${child}/cmdline`).replaceAll('\0', ' '))
  }, 10)
  return { seen, [Symbol.dispose]: () => clearInterval(timer) }
}

function descendants(pid: number): readonly string[] {
  const children = textOf(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((text) => text !== '')
  return children.flatMap((child) => [child, ...descendants(Number(child))])
}

/** Whoever has ended meanwhile says nothing. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
