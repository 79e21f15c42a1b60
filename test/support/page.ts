import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/** What a page shows: a file below its path, commands (`sh`), or what they print (`text`). */
export type Block =
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  | { readonly kind: 'commands' | 'output'; readonly text: string }

export interface Page {
  /** The blocks below a heading; those before the second are below the page's own. */
  chapter(heading: string): readonly Block[]
}

const fenced = /(?:^`([^`\n]+)`\n\n)?^```(\w*)\n(.*?)^```$/gms

/** Reads a page of `docs/`; a block of which nothing can be tested is an error. */
export async function readPage(name: string): Promise<Page> {
  const page = await readFile(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8')
  const chapters = new Map(page.split(/^##? /m).map((text) => [text.slice(0, text.indexOf('\n')), blocksOf(text)]))
  return {
    chapter(heading) {
      const blocks = chapters.get(heading)
      if (blocks === undefined) throw new Error(`${name} has no chapter "${heading}"`)
      return blocks
    },
  }
}

function blocksOf(chapter: string): readonly Block[] {
  return [...chapter.matchAll(fenced)].map(([, path, language, text = '']) => {
    if (path !== undefined) return { kind: 'file', path, text }
    if (language === 'sh') return { kind: 'commands', text }
    if (language === 'text') return { kind: 'output', text }
    throw new Error(`neither a file below its path, nor sh, nor text:\n${text}`)
  })
}
