import { ToolFailure } from '../kit/tool.ts'
import { type Catalogue, openCatalogue } from './catalogue.ts'
import { type Entry, renderEntry } from './entry.ts'
import type { Settings } from './environment.ts'
import { type Library, readLibrary } from './library.ts'

/** What stands on the shelf now. */
export interface Content {
  readonly library: Library
  readonly catalogue: Catalogue
}

/** The data as the tools see it. */
export interface Shelf {
  readonly edition: Settings['FIVETOOLS_EDITION']
  /** @throws ToolFailure while there is no data. */
  readonly content: () => Content
  /** The reason why there is nothing to look up; looks at the folder again while it was empty. */
  readonly ready: () => Promise<string | undefined>
  readonly close: () => Promise<void>
}

export async function openShelf(settings: Settings): Promise<Shelf> {
  let content = await readContent(settings)
  const reason = () => {
    if (content.library.entries.length > 0) return undefined
    const why = content.library.faults.join('; ') || `${settings.FIVETOOLS_DATA_DIR}: no entries in it`
    return `no data to look up: ${why.slice(0, 500)}`
  }
  let looking: Promise<void> | undefined
  const look = async () => {
    const found = await readContent(settings)
    content.catalogue.close()
    content = found
  }
  return {
    edition: settings.FIVETOOLS_EDITION,
    content: () => {
      const missing = reason()
      if (missing !== undefined) throw new ToolFailure(missing)
      return content
    },
    ready: async () => {
      if (reason() === undefined) return undefined
      looking ??= look().finally(() => {
        looking = undefined
      })
      await looking
      return reason()
    },
    close: async () => {
      await looking
      content.catalogue.close()
    },
  }
}

async function readContent(settings: Settings): Promise<Content> {
  const folders = { data: settings.FIVETOOLS_DATA_DIR, homebrew: settings.FIVETOOLS_HOMEBREW_DIR }
  const library = await readLibrary(folders)
  return { library, catalogue: openCatalogue(library.entries) }
}

/** Longer than any single rule, shorter than what would fill a model's window. */
const longest = 40_000

/** Entries of one name and source as Markdown. */
export function renderAll(entries: readonly Entry[], { books }: Library): string {
  const text = entries.map((entry) => renderEntry(entry, books.get(entry.source)?.name ?? '')).join('\n\n---\n\n')
  return text.length <= longest
    ? text
    : `${text.slice(0, longest)}\n\n… cut here; ${text.length - longest} more characters`
}
