import { cleanSvg, fitSvg } from './svg.js'

const library = globalThis.AntVInfographic

// Its fonts come from a server of its makers; without weights it asks for none of them.
for (const font of library.getFonts()) font.fontWeight = {}

// The same input gives the same drawing: ids and hand-drawn lines are random otherwise.
let seed = 1
Math.random = () => {
  seed = (seed * 16_807) % 2_147_483_647
  return seed / 2_147_483_647
}

const typeOf = (part) => (typeof part === 'string' ? part : part?.type)

/** Every template: its name, its structure, and which fields of an item its parts show. */
globalThis.describeTemplates = () =>
  library.getTemplates().map((name) => {
    const { structure, item, items } = library.getTemplate(name).design
    const shown = (items ?? [item]).flatMap((part) => library.getItem(typeOf(part))?.composites ?? [])
    return { name, structure: typeOf(structure), shows: [...new Set(shown)] }
  })

globalThis.parseInfographic = (syntax) => {
  const { options, errors, warnings } = library.parseSyntax(syntax)
  const told = ({ line, path, message, raw }) => ({ line, path, message, raw })
  return { options, errors: errors.map(told), warnings: warnings.map(told) }
}

/** Draws into the page's top left corner, `width` CSS pixels wide if given. `texts` are those to look for in it. */
globalThis.drawInfographic = async ({ options, texts, font, width }) => {
  try {
    const drawing = cleanSvg((await draw(options, font)).outerHTML)
    const size = fitSvg(drawing, width)
    document.body.replaceChildren(drawing)
    const shown = bare(drawing.textContent)
    const hidden = texts.filter((text) => !shown.includes(bare(text)))
    return { ...size, hidden, svg: new XMLSerializer().serializeToString(drawing) }
  } catch (error) {
    return { problem: String(error?.message ?? error) }
  }
}

async function draw(options, font) {
  useFont(font)
  const container = document.createElement('div')
  document.body.replaceChildren(container)
  const infographic = new library.Infographic({ ...options, container })
  const { promise, resolve, reject } = Promise.withResolvers()
  infographic.on('loaded', ({ node }) => resolve(node))
  infographic.on('error', reject)
  infographic.render()
  // With nothing embedded it only fits the view box and the text's boxes to the text.
  return await library.exportToSVG(await promise, { embedResources: false })
}

/** Texts and the hand-drawn theme name fonts that are nowhere; they get this one. */
function useFont(font) {
  library.setDefaultFont(font)
  const drawn = library.getTheme('hand-drawn')
  library.registerTheme('hand-drawn', { ...drawn, base: { text: { 'font-family': font } } })
}

/** What is the same however a text was broken into lines. */
function bare(text) {
  return text.replace(/[\s\u00ad\u200b…]+/g, '')
}
