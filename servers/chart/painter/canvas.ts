import { fileURLToPath } from 'node:url'
import { type Canvas, createCanvas, GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas'

const own = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf']
const chinese = ['Noto Sans CJK SC', 'Noto Sans CJK JP', 'Noto Sans SC', 'Source Han Sans SC', 'WenQuanYi Zen Hei']
// Skia asks one family after the other for each character, and knows no fallback but this list.
const families = [...chinese, 'DejaVu Sans', 'Noto Color Emoji'].map((family) => `"${family}"`).join(', ')

for (const file of own)
  GlobalFonts.registerFromPath(fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${file}`)), 'DejaVu Sans')
// It bears it under one of its names, depending on which the file names first.
const hasChinese = GlobalFonts.families.some(({ family }) => chinese.includes(family))

/** Why some labels would be boxes, if they would. */
export const fontsLack: string | undefined = hasChinese
  ? undefined
  : 'no font here has Chinese, Japanese and Korean characters; install Debian’s fonts-noto-cjk'

forgive(Object.getPrototypeOf(createCanvas(1, 1).getContext('2d')))

/**
 * Skia throws where browsers ignore: at a font without a size, at dashes that are no lengths. In a drawing library's
 * tick that would end the process. Every font becomes one of our families, in which all characters are.
 */
function forgive(context: SKRSContext2D): void {
  const font = Object.getOwnPropertyDescriptor(context, 'font')
  const setLineDash = context.setLineDash
  if (font?.set === undefined) throw new Error('this canvas has another way to set fonts')
  const { get, set } = font
  Object.defineProperty(context, 'font', {
    configurable: true,
    ...(get && { get }),
    set(this: SKRSContext2D, wanted: unknown) {
      const face = /^(.*?)(\d+(?:\.\d+)?)px/.exec(String(wanted))
      if (face !== null) set.call(this, `${styleOf(face[1])}${face[2]}px ${families}`)
    },
  })
  context.setLineDash = function (this: SKRSContext2D, dashes: number[]) {
    if (dashes.every((dash) => Number.isFinite(dash) && dash >= 0)) setLineDash.call(this, dashes)
  }
}

function styleOf(words = ''): string {
  const bold = /\b(?:bold|bolder|[6-9]00)\b/.test(words) ? 'bold ' : ''
  return /\b(?:italic|oblique)\b/.test(words) ? `italic ${bold}` : bold
}

export function createSheet(width: number, height: number): Canvas {
  return createCanvas(Math.round(width), Math.round(height))
}

const pencil = createSheet(1, 1).getContext('2d')

/** Pixels that a line of text takes. */
export function widthOf(text: string, size: number): number {
  pencil.font = `${size}px sans-serif`
  return pencil.measureText(text).width
}

/** The text in lines of at most `width` pixels, at most so many, the last with an ellipsis where it had to end. */
export function wrap(text: string, { size, width, lines }: { size: number; width: number; lines: number }): string[] {
  const fits = (line: string) => widthOf(line, size) <= width
  const wrapped = ['']
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(text)) {
    const last = wrapped.at(-1) ?? ''
    if (segment.includes('\n') || (last !== '' && !fits(last + segment))) wrapped.push(segment)
    else wrapped[wrapped.length - 1] = last + segment
  }
  const shown = wrapped.map((line) => line.trim()).filter((line) => line !== '')
  const kept = shown.slice(0, lines).map((line, index) => {
    const cut = index === lines - 1 && shown.length > lines
    return fits(line) && !cut ? line : shorten(`${line}…`, { size, width })
  })
  return kept.length === 0 ? [''] : kept
}

/** The text, or as much of it as has room before an ellipsis. */
export function shorten(text: string, { size, width }: { size: number; width: number }): string {
  if (widthOf(text, size) <= width) return text
  const letters = Array.from(new Intl.Segmenter().segment(text.replace(/…$/, '')), ({ segment }) => segment)
  while (letters.length > 0 && widthOf(`${letters.join('')}…`, size) > width) letters.pop()
  return `${letters.join('')}…`
}

/** Whether the canvas knows the colour: an unknown one leaves the one before. */
export function isColour(text: string): boolean {
  return ['#000000', '#ffffff'].every((before, index, all) => {
    pencil.fillStyle = before
    pencil.fillStyle = text
    const after = pencil.fillStyle
    pencil.fillStyle = all[1 - index] ?? before
    pencil.fillStyle = text
    return pencil.fillStyle === after
  })
}
