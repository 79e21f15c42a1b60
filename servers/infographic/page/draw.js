import { cleanSvg, fitSvg } from './svg.js'

const library = globalThis.AntVInfographic
const padding = 20

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
  const infographic = new library.Infographic({ ...options, design: titled(options), container })
  const { promise, resolve, reject } = Promise.withResolvers()
  infographic.on('loaded', ({ node }) => resolve(node))
  infographic.on('error', reject)
  infographic.render()
  const drawing = await promise
  widen(drawing)
  // With nothing embedded it only fits the view box and the text's boxes to the text.
  return await library.exportToSVG(drawing, { embedResources: false })
}

/** The view box was made before there were icons, and a browser counts an icon as nothing. */
function widen(drawing) {
  const view = drawing.viewBox.baseVal
  const icons = [...drawing.querySelectorAll('use')].flatMap((icon) => cornersOf(icon, drawing))
  const left = Math.min(view.x, ...icons.map(({ x }) => x - padding))
  const top = Math.min(view.y, ...icons.map(({ y }) => y - padding))
  const right = Math.max(view.x + view.width, ...icons.map(({ x }) => x + padding))
  const bottom = Math.max(view.y + view.height, ...icons.map(({ y }) => y + padding))
  drawing.setAttribute('viewBox', `${left} ${top} ${right - left} ${bottom - top}`)
}

function cornersOf(icon, drawing) {
  const [x, y, width, height] = ['x', 'y', 'width', 'height'].map((name) => icon[name].baseVal.value)
  const matrix = drawing.getScreenCTM().inverse().multiply(icon.parentElement.getScreenCTM())
  return [new DOMPoint(x, y), new DOMPoint(x + width, y + height)].map((corner) => corner.matrixTransform(matrix))
}

/** Hierarchies leave out even a title that was given. */
function titled({ template, design }) {
  return { ...design, title: design?.title ?? library.getTemplate(template).design.title ?? 'default' }
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
