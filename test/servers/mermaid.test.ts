import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openLoopback } from '../support/loopback.ts'
import { suite } from '../support/machine.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { decodePng } from '../support/png.ts'
import { descendants, isRunning } from '../support/process-tree.ts'
import { failProgram, launchProgram, type Program, startProgram } from '../support/program.ts'
import { raiseStorm } from './storm.ts'

vi.setConfig({ testTimeout: 90_000 })

const main = fileURLToPath(new URL('../../servers/mermaid/main.ts', import.meta.url))
const examples = new URL('../../servers/mermaid/examples/', import.meta.url)
const kinds = readdirSync(examples).map((file) => file.replace('.mmd', ''))

const white = 0xffffffff

suite('mermaid', ['chromium'], () => {
  let program: Program
  let client: McpClient
  beforeAll(async () => {
    program = await launchProgram(main, {})
    client = await connectCurl(`${program.url}/mcp`)
  })
  afterAll(async () => {
    program.kill('SIGTERM')
    await program.ended
  })

  const draw = async (code: string, options: Readonly<Record<string, unknown>> = {}) => {
    const answer = await client.callTool('render_diagram', { code, ...options })
    expect(answer).toMatchObject({ isError: false })
    return answer
  }
  const picture = async (code: string, options: Readonly<Record<string, unknown>> = {}) =>
    decodePng((await draw(code, options)).images[0]!)
  const fault = async (tool: string, args: Readonly<Record<string, unknown>>) => {
    const { text, isError } = await client.callTool(tool, args)
    expect(isError).toBe(true)
    return text
  }

  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${program.url}/mcp`)
    onTestFinished(agent.close)
    expect((await agent.listTools()).toSorted()).toEqual(['list_diagram_types', 'render_diagram', 'validate_diagram'])
    const { text, images, isError } = await agent.callTool('render_diagram', { code: 'pie\n  "a" : 1' })
    expect({ isError, text }).toEqual({ isError: false, text: expect.stringMatching(/^pie \d+×\d+, png \d+×\d+$/) })
    expect(decodePng(images[0]!).colours().size).toBeGreaterThan(2)
  })

  test('is ready', async () => {
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })

  test.each(kinds)('draws %s', async (kind) => {
    const { text: code } = await client.callTool('list_diagram_types', { type: kind })
    const { text, images } = await draw(code, { scale: 1 })
    const [, type, ...sizes] = /^(\S+) (\d+)×(\d+), png (\d+)×(\d+)$/.exec(text) ?? []
    const [width, height, pixelWidth, pixelHeight] = sizes.map(Number)
    expect({ type, pixelWidth, pixelHeight }).toEqual({ type: kind, pixelWidth: width, pixelHeight: height })
    const png = decodePng(images[0]!)
    expect([png.width, png.height]).toEqual([pixelWidth, pixelHeight])
    const colours = png.colours()
    const painted = 1 - (colours.get(white) ?? 0) / (png.width * png.height)
    expect(painted).toBeGreaterThan(0.01)
    expect(colours.size).toBeGreaterThan(3)
  })

  test.each(['flowchart', 'gantt', 'mindmap', 'treemap'])('finds an example of %s valid', async (kind) => {
    const code = readFileSync(new URL(`${kind}.mmd`, examples), 'utf8')
    expect(await client.callTool('validate_diagram', { code })).toMatchObject({ text: `valid ${kind}`, isError: false })
  })

  test('lists every type, and finds one by what people call it', async () => {
    const { text } = await client.callTool('list_diagram_types')
    expect(text.split('\n').map((line) => line.split(':')[0])).toEqual(kinds.toSorted())
    for (const name of ['erDiagram', 'xychart-beta', 'Sequence diagram', 'C4', 'quadrant', 'state'])
      expect(await client.callTool('list_diagram_types', { type: name })).toMatchObject({ isError: false })
    expect(await fault('list_diagram_types', { type: 'banana' })).toMatch(/no type "banana"; there are .*flowchart/)
  })

  test('names its types as mermaid does', () => {
    const bundle = readFileSync(new URL('../node_modules/mermaid/dist/mermaid.min.js', examples), 'utf8')
    for (const kind of kinds) expect(bundle).toMatch(new RegExp(`["'\`]${kind}(?:-v2)?["'\`]`))
  })

  test('paints the background and the theme that were asked for', async () => {
    const code = 'flowchart LR\n  a --> b'
    const corner = async (options: Readonly<Record<string, unknown>>) => (await picture(code, options)).at(0, 0)
    expect(await corner({})).toBe(white)
    expect(await corner({ background: 'red' })).toBe(0xff0000ff)
    expect(await corner({ background: '#0af' })).toBe(0x00aaffff)
    expect(await corner({ background: 'transparent' })).toBe(0)
    expect(await corner({ theme: 'dark' })).toBe(0x1f2020ff)
    const lilac = 0xececffff
    expect((await picture(code)).colours().get(lilac)).toBeGreaterThan(1_000)
    expect((await picture(code, { theme: 'forest' })).colours().has(lilac)).toBe(false)
  })

  test('writes in a treemap with ink that its leaves let be read', async () => {
    const code = 'treemap-beta\n"House"\n  "Ground floor"\n    "Kitchen": 18\n    "Living room": 32'
    const inks = async (theme: string) => (await picture(code, { theme })).colours()
    expect((await inks('default')).get(0x222222ff)).toBeGreaterThan(100)
    expect((await inks('dark')).get(0xeeeeeeff)).toBeGreaterThan(100)
  })

  test('scales, and draws as wide as it is asked to', async () => {
    const code = 'flowchart LR\n  a --> b'
    const { width, height } = await picture(code, { scale: 1 })
    const larger = await picture(code, { scale: 3 })
    expect([larger.width, larger.height]).toEqual([width * 3, height * 3])
    expect((await picture(code, { scale: '1.5', width: 400 })).width).toBe(600)
    expect((await draw(code, { width: 400, format: 'svg' })).text).toMatch(/<svg[^>]* width="400"/)
  })

  test('draws emoji in colour and every Chinese character in its own shape', async () => {
    const [tick, bare] = [await picture('flowchart LR\n  a["✅"]'), await picture('flowchart LR\n  a["x"]')]
    const greens = [...tick.colours()].filter(([colour]) => {
      const [red, green, blue] = [colour >>> 24, (colour >>> 16) & 255, (colour >>> 8) & 255]
      return green > red + 30 && green > blue + 30
    })
    expect(greens.length).toBeGreaterThan(10)
    expect(bare.colours().size).toBeLessThan(tick.colours().size)
    const inked = async (text: string) => [...(await picture(`flowchart LR\n  a["${text}"]`)).colours()].toSorted()
    expect(await inked('你')).not.toEqual(await inked('好'))
  })

  test('answers with an SVG that stands alone', async () => {
    const { text, images } = await draw('sequenceDiagram\n  A->>B: Hello<br>there', { format: 'svg' })
    expect(images).toEqual([])
    const [, svg, line] = /^(<svg.*<\/svg>)\n(sequence \d+×\d+)$/s.exec(text) ?? []
    expect(line).toBeDefined()
    expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    expect(svg).not.toMatch(/<br>|&nbsp;/)
    expect(svg).toContain('Hello')
    const again = await draw('sequenceDiagram\n  A->>B: Hello<br>there', { format: 'svg' })
    expect(again.text).toBe(text)
  })

  test('takes code in a Markdown fence, with CRLF, and with a front matter', async () => {
    expect((await draw('```mermaid\nflowchart LR\n  a --> b\n```')).text).toMatch(/^flowchart/)
    expect((await draw('flowchart LR\r\n  a --> b\r\n')).text).toMatch(/^flowchart/)
    const front = '---\ntitle: Mine\nconfig:\n  theme: forest\n---\nflowchart LR\n  a --> b'
    expect((await draw(front, { format: 'svg' })).text).toContain('Mine')
  })

  describe('given bad input', () => {
    const many = Array.from({ length: 501 }, (_, i) => `  a${i} --> b${i}`).join('\n')
    const chart = 'flowchart LR\n  a --> b'

    test.each([
      ['half an arrow', { code: 'flowchart LR\n  A--' }, /Parse error on line \d/],
      ['an unclosed box', { code: 'flowchart LR\n  A[x --> B' }, /Parse error on line \d/],
      ['no text', { code: '' }, /code/],
      ['blanks', { code: ' \n\t\n' }, /No diagram type detected/],
      ['no code', {}, /code: give the Mermaid code of a diagram/],
      ['no diagram', { code: 'hello' }, /No diagram type detected.*\n.*list_diagram_types has them all/],
      [
        'a name of another server',
        { code: 'pie', backgroundColor: 'red' },
        /"backgroundColor"; there are code, format/,
      ],
      ['no code', {}, /code/],
      ['code that is no text', { code: 7 }, /code/],
      ['too much text', { code: `${chart}\n%% ${'x'.repeat(50_000)}` }, /more than 50000 characters/],
      ['too many edges', { code: `flowchart LR\n${many}` }, /500/],
      ['a type that the bundle lacks', { code: 'zenuml\n  A->B: hi' }, /No diagram type detected/],
      ['a NUL byte', { code: 'flowchart LR\n  a --> \0b' }, /line 2 holds a control character/],
      ['an unknown theme', { code: chart, theme: 'pink' }, /theme/],
      ['CSS for a background', { code: chart, background: 'red;}body{display:none' }, /background/],
      ['an address for a background', { code: chart, background: 'url(http://127.0.0.1/)' }, /background/],
      ['no such colour', { code: chart, background: 'nocolour' }, /there is no colour "nocolour"/],
      ['too large a scale', { code: chart, scale: 100 }, /scale/],
      ['a scale that is no number', { code: chart, scale: 'large' }, /scale/],
      ['a negative width', { code: chart, width: -5 }, /width/],
      ['an unknown format', { code: chart, format: 'gif' }, /format/],
    ])('says what is wrong with %s', async (_, args, words) => {
      expect(await fault('render_diagram', args)).toMatch(words)
    })

    test.each([
      'flowchart LR\n  A--',
      'hello',
      'pie\n  "a" : minus',
      'sequenceDiagram\n  A->>',
      'erDiagram\n  A ||--o{',
    ])('finds %j wrong when it is checked', async (code) => {
      expect(await fault('validate_diagram', { code })).toMatch(/line \d|No diagram type|Invalid|Pars/i)
    })

    test('lowers the scale of a picture that would be too large', async () => {
      const long = `flowchart LR\n${Array.from({ length: 60 }, (_, i) => `  n${i}[Step number ${i}] --> n${i + 1}`).join('\n')}`
      const { text, images } = await draw(long, { scale: 4 })
      expect(text).toMatch(/\(scale [\d.]+: 4 would be too large\)$/)
      const { width, height } = decodePng(images[0]!)
      expect(width).toBeLessThanOrEqual(8_000)
      expect(width * height).toBeLessThanOrEqual(16e6)
      expect(width).toBeGreaterThan(7_900)
    })

    test('draws fifteen hundred nested subgraphs in time or gives them up, and draws the next', async () => {
      const open = Array.from({ length: 1_500 }, (_, i) => `subgraph s${i}`).join('\n')
      const close = 'end\n'.repeat(1_500)
      const { text } = await client.callTool('render_diagram', {
        code: `flowchart LR\n${open}\na-->b\n${close}`,
      })
      expect(text).toMatch(/^flowchart .*would be too large|took longer than 10 s|twice/)
      expect((await draw('flowchart LR\n  a --> b')).text).toMatch(/^flowchart/)
    })
  })

  test('fetches no picture that a diagram names by address, and says that there is none', async () => {
    const loopback = await openLoopback()
    onTestFinished(loopback.close)
    const code = `flowchart LR\n  a@{ img: "${loopback.url}/node", label: "x", w: 60, h: 60 }`
    expect(await fault('render_diagram', { code })).toMatch(/img.*nothing is fetched/)
    expect(loopback.seen).toEqual([])
  })

  describe('given code that is after something else', () => {
    const hostile = (url: string): Readonly<Record<string, string>> => ({
      'a handler in a label': `flowchart LR\n  a["<img src=x onerror=fetch('${url}/onerror')>"]`,
      'a picture in a label': `flowchart LR\n  a["<img src='${url}/img'>"] --> b["<svg><image href='${url}/image'/></svg>"]`,
      'a picture in Markdown': `flowchart LR\n  a["\`![x](${url}/markdown)\`"]`,
      'an icon as a node': `flowchart LR\n  a@{ icon: "fa:user", label: "x" }`,
      'a loose security level': `%%{init: {"securityLevel": "loose", "htmlLabels": true}}%%\nflowchart LR\n  a["<script>fetch('${url}/script')</script>x"]\n  click a href "javascript:fetch('${url}/js')"`,
      'a loose security level in front matter': `---\nconfig:\n  securityLevel: loose\n---\nflowchart LR\n  a["<iframe src='${url}/iframe'></iframe>x"]`,
      'CSS of a theme': `%%{init: {"themeCSS": "@import '${url}/import'; .node rect { fill: url(${url}/fill); background: \\\\75rl(${url}/escaped) } @font-face { font-family: f; src: url(${url}/font) } .x { --y: url(${url}/variable); background: image-set('${url}/set' 1x) }"}}%%\nflowchart LR\n  a --> b`,
      'a font': `%%{init: {"fontFamily": "x; } @import '${url}/fontFamily'; y {"}}%%\nflowchart LR\n  a`,
      'a link': `flowchart LR\n  a\n  click a "${url}/click" _blank`,
      'a link of a sequence': `sequenceDiagram\n  participant A\n  link A: More @ ${url}/link\n  A->>A: x`,
      'a link of a class': `classDiagram\n  class A\n  link A "javascript:alert(1)"\n  callback A "alert"`,
      'a picture of C4': `C4Context\n  Person(a, "A", "x", $sprite="${url}/sprite")`,
      'an escape from the drawing': `flowchart LR\n  a["</svg></div><script>fetch('${url}/escape')</script><style>@import '${url}/escape-import'</style>"]`,
    })

    test.each(Object.keys(hostile('')))('does no harm with %s', async (name) => {
      const loopback = await openLoopback()
      const code = hostile(loopback.url)[name]!
      const { text, isError } = await client.callTool('render_diagram', { code, format: 'svg' })
      expect({ isError, text: isError ? text : '' }).toEqual({ isError: false, text: '' })
      expect(text).not.toMatch(/<script|<iframe|<object|<embed|javascript:|\son\w+\s*=|@import|@font-face/i)
      const fetched = /(?:href|src|srcset|action)\s*=\s*["']?\s*(?!#|data:image)[^"'#\s]/i
      expect(text.replace(/xmlns(?::\w+)?="[^"]*"/g, '')).not.toMatch(fetched)
      expect(text).not.toMatch(/url\(\s*["']?(?!#)[^)]/i)
      expect(loopback.seen).toEqual([])
      await loopback.close()
    })
  })

  test('answers two hundred calls at once with a picture or with busy, in less memory than its container has', async () => {
    const { drawn, busy, peak } = await raiseStorm(program.pid!, client, (index) => [
      'render_diagram',
      { code: `flowchart LR\n  a${index} --> b`, scale: 1 },
    ])
    expect([drawn.length >= 2, drawn.length + busy.length]).toEqual([true, 200])
    for (const { images } of drawn) expect(decodePng(images[0]!).colours().size).toBeGreaterThan(3)
    expect(peak).toBeLessThan(2 ** 30)
    await draw('flowchart LR\n  a --> b')
  })

  test('goes on when its browser is killed under calls', async () => {
    const [browser] = descendants(program.pid!)
    const calls = Array.from({ length: 6 }, (_, i) => draw(`flowchart LR\n  a --> b${i}`))
    process.kill(browser!, 'SIGKILL')
    for (const { images } of await Promise.all(calls)) expect(images).toHaveLength(1)
    expect(descendants(program.pid!)).not.toContain(browser)
  })
})

suite('a mermaid server', ['chromium'], () => {
  test('gives up a diagram that takes too long, and draws the next', async () => {
    const program = await startProgram(main, { RENDER_TIMEOUT_MS: '1500' })
    const client = await connectCurl(`${program.url}/mcp`)
    await client.callTool('render_diagram', { code: 'flowchart LR\n  a --> b' })
    const web = Array.from({ length: 450 }, (_, i) => `  n${i % 40} --> n${(i * 7 + 3) % 41}`).join('\n')
    const { text, isError } = await client.callTool('render_diagram', { code: `flowchart LR\n${web}` })
    expect([text, isError]).toEqual(['Rendering took longer than 1.5 s and was stopped.', true])
    expect(await client.callTool('render_diagram', { code: 'pie\n  "a" : 1' })).toMatchObject({ isError: false })
  })

  test('stops when it is asked to, with its browser', async () => {
    const program = await startProgram(main)
    await vi.waitFor(async () => expect((await fetch(`${program.url}/readyz`)).status).toBe(200), { timeout: 20_000 })
    const family = descendants(program.pid!)
    expect(family.length).toBeGreaterThan(0)
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
    await vi.waitFor(() => expect(family.filter(isRunning)).toEqual([]), { timeout: 5_000 })
  })

  test('obeys its limit of text', async () => {
    const program = await startProgram(main, { MERMAID_MAX_TEXT: '100' })
    const client = await connectCurl(`${program.url}/mcp`)
    const { text } = await client.callTool('validate_diagram', { code: `pie\n%% ${'x'.repeat(100)}` })
    expect(text).toContain('more than 100 characters')
  })
})

describe('a mermaid server that cannot start', () => {
  test.each([
    ['without Chromium', { PATH: '/nowhere' }, /install Debian's chromium-headless-shell/],
    ['with a wrong limit', { RENDER_TIMEOUT_MS: 'soon' }, /RENDER_TIMEOUT_MS="soon"/],
    ['with too many slots', { RENDER_CONCURRENCY: '99' }, /RENDER_CONCURRENCY="99"/],
  ])('says why in one line %s', async (_, env, words) => {
    const { code, lines } = await failProgram(main, env)
    expect([code, lines.length, lines[0]?.msg]).toEqual([1, 1, expect.stringMatching(words)])
  })
})
