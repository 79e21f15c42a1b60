import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** Drawings of 24 by 24 units, by name. */
export interface Icons {
  /** An SVG for a name, or for a few words that describe one; undefined where there is none. */
  find(wanted: string): string | undefined
}

const IconSet = z.object({
  icons: z.record(z.string(), z.object({ body: z.string() })),
  aliases: z.record(z.string(), z.object({ parent: z.string() })),
})

/** Reads Material Design Icons from their package. */
export function readIcons(): Icons {
  const file = new URL(import.meta.resolve('@iconify-json/mdi/icons.json'))
  const { icons, aliases } = IconSet.parse(JSON.parse(readFileSync(file, 'utf8')))
  const names = Object.keys(icons)
    .sort((a, b) => a.length - b.length)
    .map((name) => `-${name}-`)
  const bodyOf = (name: string) => (icons[name] ?? icons[aliases[name]?.parent ?? ''])?.body
  const find = (wanted: string) => {
    const words = wordsOf(wanted)
    const candidates = [words.join('-'), nameWith(words, names), ...words]
    const body = candidates.map(bodyOf).find((found) => found !== undefined)
    return body === undefined ? undefined : svgOf(body)
  }
  return { find }
}

/** `mdi:rocket-launch`, `mdi/rocket-launch`, `ref:search:rocket launch` and `Rocket Launch icon` are the same words. */
function wordsOf(wanted: string): readonly string[] {
  const name = wanted.replace(/^ref:search:/, '').replace(/^[a-z][a-z0-9-]*[:/]/, '')
  const words = name.toLowerCase().split(/[^a-z0-9]+/)
  return words.filter((word) => word !== '' && word !== 'icon')
}

/** The first name, of those between hyphens, that has every word. */
function nameWith(words: readonly string[], names: readonly string[]): string {
  const found = names.find((name) => words.length > 0 && words.every((word) => name.includes(`-${word}-`)))
  return found?.slice(1, -1) ?? ''
}

/** Without a colour of its own, so that it takes the one of where it is used. */
function svgOf(body: string): string {
  return `<svg viewBox="0 0 24 24">${body.replaceAll(' fill="currentColor"', '')}</svg>`
}
