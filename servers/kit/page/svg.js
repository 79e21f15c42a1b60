const svgElements =
  'svg g path rect circle ellipse line polyline polygon text tspan textPath title desc defs marker symbol use clipPath mask pattern linearGradient radialGradient stop image a switch style foreignObject filter feBlend feColorMatrix feComponentTransfer feComposite feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset feTile feTurbulence'
const htmlElements =
  'div span p br hr b i em strong u s del ins small sub sup code pre kbd mark q blockquote ul ol li dl dt dd table caption thead tbody tfoot tr th td h1 h2 h3 h4 h5 h6 img font section'
const mathElements =
  'math semantics annotation mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mmultiscripts mprescripts mtable mtr mtd mstyle mpadded mphantom menclose merror'

const allowed = new Map([
  ['http://www.w3.org/2000/svg', new Set(svgElements.split(' '))],
  ['http://www.w3.org/1999/xhtml', new Set(htmlElements.split(' '))],
  ['http://www.w3.org/1998/Math/MathML', new Set(mathElements.split(' '))],
])

const addresses = new Set(['href', 'src', 'srcset', 'action', 'formaction', 'poster', 'background', 'data', 'ping'])
const words = new Set(['id', 'class', 'title', 'alt', 'content', 'aria-label', 'aria-roledescription'])

/**
 * A drawing as an element that runs nothing and fetches nothing wherever it is shown: known elements only, no
 * handlers, no address but fragments and pictures that it carries itself.
 */
export function cleanSvg(text) {
  const drawing = new DOMParser().parseFromString(text, 'text/html').querySelector('svg')
  if (drawing === null) throw new Error('nothing was drawn')
  for (const element of [...drawing.querySelectorAll('*'), drawing]) cleanElement(element)
  return document.adoptNode(drawing)
}

/** Gives the drawing its size in whole pixels: as wide as wanted, or as its view box. */
export function fitSvg(drawing, wanted) {
  const box = drawing.viewBox.baseVal
  if (!(box?.width > 0 && box.height > 0)) throw new Error('the drawing is empty')
  const width = Math.ceil(wanted ?? box.width)
  const height = Math.max(1, Math.ceil((box.height * width) / box.width))
  drawing.style.maxWidth = ''
  drawing.style.width = ''
  resize(drawing, width, height)
  return { width, height }
}

globalThis.resizeDrawing = ({ width, height }) => resize(document.querySelector('svg'), width, height)

function resize(drawing, width, height) {
  drawing.setAttribute('width', width)
  drawing.setAttribute('height', height)
}

function cleanElement(element) {
  if (!allowed.get(element.namespaceURI)?.has(element.localName)) return element.remove()
  for (const { name, localName, value } of [...element.attributes])
    if (!isHarmless(localName, value)) element.removeAttribute(name)
  if (element.localName === 'style') element.textContent = cleanSheet(element.textContent)
}

function isHarmless(name, value) {
  if (/^on/i.test(name)) return false
  if (addresses.has(name.toLowerCase())) return isOwn(value)
  return words.has(name) || name.startsWith('data-') || !fetches(value)
}

function isOwn(address) {
  return /^#/.test(address.trim()) || /^data:image\/(?:png|jpeg|gif|webp);/i.test(address.trim())
}

/** CSS that would fetch, also where it is written with escapes; `url(#id)` stays. */
function fetches(css) {
  const plain = css.replace(/\\(?:([0-9a-f]{1,6})\s?|(.))/gi, (_, hex, char) =>
    hex === undefined ? char : String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff)),
  )
  const targets = [...plain.matchAll(/(?:url|src|image|image-set|cross-fade|element|expression)\(\s*["']?\s*(.)?/gis)]
  return /@import|javascript:/i.test(plain) || targets.some(([, first]) => first !== '#')
}

/** The sheet as the browser understood it, without rules and declarations that fetch. */
function cleanSheet(text) {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(text)
  return cleanRules(sheet.cssRules)
}

const sheetRules = new Set(['CSSStyleRule', 'CSSKeyframesRule', 'CSSKeyframeRule', 'CSSMediaRule', 'CSSSupportsRule'])

function cleanRules(rules) {
  return [...rules]
    .filter((rule) => sheetRules.has(rule.constructor.name))
    .map((rule) => {
      cleanRule(rule)
      return rule.cssText
    })
    .filter((css) => !fetches(css))
    .join('\n')
}

function cleanRule(rule) {
  for (const name of [...(rule.style ?? [])])
    if (fetches(rule.style.getPropertyValue(name))) rule.style.removeProperty(name)
  for (const inner of rule.cssRules ?? []) cleanRule(inner)
}
