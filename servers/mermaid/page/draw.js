import { cleanSvg, fitSvg } from './svg.js'

// The newest default look of mermaid is black and thick; this is the one that people know.
const fixed = {
  startOnLoad: false,
  securityLevel: 'strict',
  suppressErrorRendering: true,
  deterministicIds: true,
  handDrawnSeed: 1,
  look: 'classic',
  maxEdges: 500,
}

/** A treemap's labels are made for full colours, and its boxes are pale: white on yellow otherwise. */
function legible(theme) {
  return `.treemapLabel, .treemapValue, .treemapSectionLabel, .treemapSectionValue { fill: ${theme.endsWith('dark') ? '#eee' : '#222'} !important }`
}

/** What went wrong, in mermaid's words, as a value: an exception would lose its line on the way out of the page. */
async function attempt(work) {
  try {
    return await work()
  } catch (error) {
    // The browser's words for a picture that it could not have.
    if (error?.name === 'EncodingError') return { problem: 'img: nothing is fetched from anywhere here; leave it out' }
    const line = error?.hash?.loc?.first_line ?? error?.hash?.line
    return { problem: String(error?.message ?? error), ...(Number.isInteger(line) && { line }) }
  }
}

globalThis.checkDiagram = ({ code, maxText }) =>
  attempt(async () => {
    globalThis.mermaid.initialize({ ...fixed, theme: 'default', maxTextSize: maxText })
    const { diagramType } = await globalThis.mermaid.parse(code)
    return { type: diagramType }
  })

/** Draws into the page's top left corner, `width` pixels wide if given; leaves the page 1 CSS pixel per pixel of it. */
globalThis.drawDiagram = ({ code, theme, background, width, maxText }) =>
  attempt(async () => {
    if (!CSS.supports('color', background)) return { problem: `background: there is no colour "${background}"` }
    globalThis.mermaid.initialize({ ...fixed, theme, themeCSS: legible(theme), maxTextSize: maxText })
    const { diagramType, svg } = await globalThis.mermaid.render('diagram', code)
    const drawing = cleanSvg(svg)
    const size = fitSvg(drawing, width)
    drawing.style.backgroundColor = background
    document.body.replaceChildren(drawing)
    document.body.style.backgroundColor = background
    return { type: diagramType, ...size, svg: new XMLSerializer().serializeToString(drawing) }
  })
