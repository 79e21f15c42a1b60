import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Template } from '../../servers/infographic/catalogue.ts'
import { draw } from '../../servers/infographic/drawing.ts'
import { exampleOf } from '../../servers/infographic/example.ts'
import { produce } from '../../servers/infographic/produce.ts'
import type { Known } from '../../servers/infographic/request.ts'
import { openStudio } from '../../servers/infographic/studio.ts'
import { openLoopback } from '../support/loopback.ts'
import { suite } from '../support/machine.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { decodePng } from '../support/png.ts'
import { descendants } from '../support/process-tree.ts'
import { failProgram, launchProgram, type Program, startProgram } from '../support/program.ts'
import { raiseStorm } from './storm.ts'

vi.setConfig({ testTimeout: 90_000 })

const main = fileURLToPath(new URL('../../servers/infographic/main.ts', import.meta.url))
const listed = new URL('../../../shared/data/infographic-templates.txt', import.meta.url)

type Arguments = Readonly<Record<string, unknown>>

const white = 0xffffffff
const row = 'list-row-horizontal-icon-arrow'
const small = `infographic ${row}\ndata\n  title Steps\n  items\n    - label Sow\n      icon sprout\n    - label Reap\n      icon corn`

suite('infographic', ['chromium'], () => {
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

  const draws = async (args: Arguments) => {
    const answer = await client.callTool('render_infographic', args)
    expect({ ...answer, images: [] }).toMatchObject({ isError: false })
    return answer
  }
  const picture = async (args: Arguments) => decodePng((await draws(args)).images[0]!)
  const fault = async (tool: string, args: Arguments) => {
    const { text, isError } = await client.callTool(tool, args)
    expect(isError).toBe(true)
    return text
  }
  const namesOf = async (args: Arguments) => {
    const { text } = await client.callTool('list_templates', args)
    return text.split('\n').map((line) => line.split(':', 1)[0]!)
  }
  const exampleFrom = async (name: string) => {
    const { text } = await client.callTool('get_template', { name })
    return text.slice(0, text.lastIndexOf('\n'))
  }
  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${program.url}/mcp`)
    onTestFinished(agent.close)
    const tools = ['get_template', 'list_templates', 'render_infographic', 'validate_infographic']
    expect((await agent.listTools()).toSorted()).toEqual(tools)
    const { text, images, isError } = await agent.callTool('render_infographic', { syntax: small })
    expect({ isError, text }).toEqual({ isError: false, text: expect.stringMatching(/^png \d+×\d+$/) })
    expect(decodePng(images[0]!).colours().size).toBeGreaterThan(10)
  })

  test('is ready', async () => {
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })

  suite('the list of templates', ['shared-data'], () => {
    test('names all that the library has', async () => {
      const names = readFileSync(listed, 'utf8').trim().split('\n').toSorted()
      expect(await namesOf({ limit: 300 })).toEqual(names)
    })
  })

  test('lists templates by family and words, with what they need', async () => {
    expect(await namesOf({ category: 'compare', limit: '3' })).toEqual([
      'compare-binary-horizontal-badge-card-arrow',
      'compare-binary-horizontal-badge-card-fold',
      'compare-binary-horizontal-badge-card-vs',
      '… and 17 more',
    ])
    const { text } = await client.callTool('list_templates', { query: 'Funnel sequence' })
    expect(text).toBe('sequence-funnel-simple: 2 to 8 items; shows label, icon, desc')
    expect(await fault('list_templates', { query: 'bananas' })).toMatch(/no template is like that/)
  })

  test('finds its own examples valid', async () => {
    for (const name of [
      'compare-swot',
      'relation-dagre-flow-tb-badge-card',
      'hierarchy-structure',
      'chart-pie-plain-text',
    ])
      expect(await client.callTool('validate_infographic', { syntax: await exampleFrom(name) })).toMatchObject({
        text: `valid ${name}`,
        isError: false,
      })
  })

  test('draws as wide as it is asked to', async () => {
    expect((await picture({ syntax: small, width: 640 })).width).toBe(640)
    expect((await picture({ syntax: small, width: '1200' })).width).toBe(1200)
    expect((await draws({ syntax: small, format: 'svg', width: 500 })).text).toMatch(/<svg[^>]* width="500"/)
  })

  test('paints the theme and the palette that were asked for', async () => {
    const corner = async (args: Arguments) => (await picture({ syntax: small, width: 400, ...args })).at(0, 0)
    expect([await corner({}), await corner({ theme: 'dark' })]).toEqual([white, 0x1f1f1fff])
    const red = 0xff0000ff
    const reds = async (args: Arguments) => (await picture({ syntax: small, ...args })).colours().get(red) ?? 0
    expect(await reds({})).toBe(0)
    expect(await reds({ palette: ['#ff0000'] })).toBeGreaterThan(1_000)
    expect(await reds({ palette: '#f00, #00f' })).toBeGreaterThan(1_000)
    const plain = await draws({ syntax: small, format: 'svg' })
    const rough = await draws({ syntax: small, format: 'svg', theme: 'hand-drawn' })
    expect(rough.text.length).toBeGreaterThan(plain.text.length)
  })

  test('draws emoji in colour and every Chinese character in its own shape', async () => {
    const withLabel = (label: string) => ({
      template: 'list-column-done-list',
      data: { items: [label] },
      palette: ['#000000'],
    })
    const greensOf = async (label: string) =>
      [...(await picture(withLabel(label))).colours().keys()].filter((colour) => {
        const [red, green, blue] = [colour >>> 24, (colour >>> 16) & 255, (colour >>> 8) & 255]
        return green > red + 30 && green > blue + 30
      }).length
    expect(await greensOf('x')).toBe(0)
    expect(await greensOf('🥦')).toBeGreaterThan(10)
    const inked = async (label: string) => [...(await picture(withLabel(label))).colours()].toSorted()
    expect(await inked('你')).not.toEqual(await inked('好'))
  })

  test('takes data as an object or as JSON, under the name that the library uses or as items', async () => {
    const items = [
      { label: 'Sow', value: '40' },
      { label: 'Reap', value: 60 },
    ]
    const template = 'chart-bar-plain-text'
    const format = 'svg'
    const { text } = await draws({ template, data: { title: 'Work', items }, format })
    expect(text).toMatch(/Work.*Sow.*Reap/s)
    for (const data of [JSON.stringify({ title: 'Work', items }), { title: 'Work', values: items }])
      expect((await draws({ template, data, format })).text).toBe(text)
    expect((await draws({ template: 'list-grid-simple', data: { items: ['Sow', 'Reap'] } })).text).toMatch(/^png/)
  })

  test('finds icons by name, by other names and by words, and says which it has not', async () => {
    const symbols = async (icon: string) => {
      const { text } = await draws({ template: row, data: { items: [{ label: 'x', icon }] }, format: 'svg' })
      return [text.match(/<symbol[^>]*>.*?<\/symbol>/s)?.[0].replace(/id="[^"]*"/, ''), text.split('</svg>').at(-1)]
    }
    const rocket = await symbols('rocket-launch')
    expect(rocket[0]).toContain('<path')
    for (const name of ['mdi:rocket-launch', 'mdi/rocket-launch', 'ref:search:rocket launch', 'Rocket Launch icon'])
      expect(await symbols(name)).toEqual(rocket)
    expect(await symbols('qwertz')).toEqual([undefined, expect.stringMatching(/no icon "qwertz"/)])
  })

  test('says which texts a template does not show', async () => {
    const items = ['one', 'two', 'three', 'four', 'five'].map((label) => ({ label, desc: `about ${label}` }))
    expect((await draws({ template: 'compare-quadrant-quarter-simple-card', data: { items } })).text).toMatch(
      /\nnot shown by this template: "five", "about five"$/,
    )
  })

  test('answers with an SVG that stands alone, the same each time', async () => {
    const args = { syntax: small, format: 'svg', theme: 'hand-drawn' }
    const { text, images } = await draws(args)
    expect(images).toEqual([])
    expect(text).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
    expect(text).toMatch(/<foreignObject.*Sow/s)
    expect(text).not.toMatch(/antgroup|weavefox|https?:\/\/(?!www\.w3\.org\/)|<br>|&nbsp;/)
    expect((await draws(args)).text).toBe(text)
  })

  test('takes tabs, CRLF and a Markdown fence', async () => {
    const spaced = (await draws({ syntax: small, format: 'svg' })).text
    for (const syntax of [
      small.replaceAll('  ', '\t'),
      small.replaceAll('\n', '\r\n'),
      `\`\`\`infographic\n${small}\n\`\`\``,
    ])
      expect((await draws({ syntax, format: 'svg' })).text).toBe(spaced)
  })

  test.each([1, 60])('draws %i items', async (count) => {
    const items = Array.from({ length: count }, (_, index) => ({ label: `Item ${index}` }))
    expect((await draws({ template: 'list-grid-done-list', data: { items } })).text).toMatch(/^png \d+×\d+$/)
  })

  test('refuses a tree that would take the stack', async () => {
    const tree = Array.from({ length: 1_000 }).reduce<object>((below) => ({ children: [below] }), { label: 'x' })
    const given = { template: 'hierarchy-tree-tech-style-badge-card', data: { items: [tree] } }
    expect(await fault('render_infographic', given)).toMatch(/data: the items are more than 20 levels deep/)
  })

  test('draws a tree ten levels deep', async () => {
    const nested = (level: number): unknown => ({
      label: `Level ${level}`,
      children: level < 10 ? [nested(level + 1)] : [],
    })
    const { text } = await draws({ template: 'hierarchy-tree-tech-style-badge-card', data: { items: [nested(1)] } })
    expect(text).toMatch(/^png \d+×\d+$/)
  })

  describe('given bad input', () => {
    const items = [{ label: 'one' }]
    const long = 'x'.repeat(2_000)

    test.each<[string, Arguments, RegExp]>([
      [
        'an unknown template',
        { template: 'list-row-icon', data: { items } },
        /no template "list-row-icon"; the nearest are (?:[a-z0-9-]+, ){4}[a-z0-9-]+$/,
      ],
      ['an unknown template in syntax', { syntax: small.replace(row, 'list-rows') }, /no template "list-rows"/],
      ['nothing', {}, /give either syntax, or template and data/],
      ['both ways at once', { syntax: small, template: row, data: { items } }, /give either/],
      ['no text', { syntax: ' \n' }, /begin with the line "infographic NAME"/],
      ['no data', { syntax: `infographic ${row}` }, /there are no items: list-row-horizontal-icon-arrow needs 2 to 8/],
      ['no data beside a template', { template: row }, /there are no items/],
      ['no items', { template: row, data: { title: 'x', items: [] } }, /there are no items/],
      [
        'sides without children',
        { template: 'compare-binary-horizontal-simple-vs', data: { items } },
        /no item has children: .* exactly 2 items/,
      ],
      ['a chart without values', { template: 'chart-pie-plain-text', data: { items } }, /no item has a value/],
      [
        'a value that is no number',
        { template: 'chart-pie-plain-text', data: { items: [{ label: 'a', value: 'much' }] } },
        /data\.items\[0\]\.value: give a number/,
      ],
      [
        'a long label',
        { template: row, data: { items: [{ label: long }] } },
        /data\.items\[0\]\.label: it has more than 200/,
      ],
      [
        'too many items',
        { template: row, data: { items: Array(201).fill('x') } },
        /there are 201 items, more than 200/,
      ],
      [
        'items that are no list',
        { template: row, data: { items: 7, lists: [[1]] } },
        /data\.lists\[0\]: give an object/,
      ],
      ['data that is no object', { template: row, data: 'one, two' }, /data.*give an object/],
      ['too much syntax', { syntax: `${small}\n${long.repeat(10)}` }, /more than 20000 characters/],
      [
        'too much data',
        { template: row, data: { items: Array(100).fill({ desc: 'x'.repeat(500) }) } },
        /more than 20000 characters/,
      ],
      ['an unknown theme', { syntax: small, theme: 'x' }, /theme/],
      ['an unknown theme in syntax', { syntax: `${small}\ntheme x` }, /there is no theme "x"; there are light, dark/],
      ['a palette that is none', { syntax: small, palette: 'url(http://127.0.0.1)' }, /give antv, spectral or colours/],
      ['too large a width', { syntax: small, width: 1e6 }, /width/],
      ['a width that is no number', { syntax: small, width: 'wide' }, /width/],
      ['an unknown format', { syntax: small, format: 'gif' }, /format/],
      ['an unknown key', { syntax: `${small}\nsparkle yes` }, /line 9: Unknown top-level key: sparkle/],
      ['a stray list', { syntax: `${small}\n- lost` }, /line 9: /],
    ])('says what is wrong with %s', async (_, args, words) => {
      expect(await fault('render_infographic', args)).toMatch(words)
    })

    test('finds the same wrong when it is checked', async () => {
      const check = (syntax: string) => fault('validate_infographic', { syntax })
      expect(await check(`${small}\nsparkle yes`)).toMatch(/line 9: Unknown top-level key: sparkle/)
      expect(await check(small.replace(row, 'list-rows'))).toMatch(/no template "list-rows"/)
      expect(await fault('get_template', { name: 'list-rows' })).toMatch(/no template "list-rows"; the nearest are/)
    })

    test('answers for syntax that was cut anywhere', async () => {
      for (let length = 1; length < small.length; length += 17) {
        const { text } = await client.callTool('validate_infographic', { syntax: small.slice(0, length) })
        expect(text).toMatch(/^valid|no template|there is no template|there are no items|line \d/)
      }
    })

    test('still draws', async () => {
      expect((await draws({ syntax: small })).text).toMatch(/^png/)
    })
  })

  describe('given data that is after something else', () => {
    const items = (url: string): Readonly<Record<string, Arguments>> => ({
      'an icon by address': { icon: `${url}/icon.svg` },
      'an icon by reference': { icon: `ref:remote:svg:${url}/remote` },
      'an icon to search for': { icon: 'ref:search:svg:qwertz' },
      'an icon as SVG': { icon: `<svg onload="fetch('${url}/onload')"><image href="${url}/image"/></svg>` },
      'an icon as data': {
        icon: `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='fetch("${url}/data")'><script>1</script></svg>`,
      },
      'an icon as an object': { icon: { source: 'remote', data: `${url}/object` } },
      'a picture by address': { illus: `ref:url:${url}/illus` },
      'HTML in a label': { label: `<img src='${url}/label' onerror=alert(1)><script>fetch('${url}/script')</script>` },
      'HTML in a description': { desc: `<iframe src='${url}/frame'></iframe><style>@import '${url}/import'</style>` },
      'attributes of a part': {
        attributes: {
          icon: { onload: `fetch('${url}/attr')`, href: `${url}/href` },
          label: { style: `background:url(${url}/css)`, onclick: 'x()' },
        },
      },
    })

    test.each(Object.keys(items('')))('does no harm with %s', async (name) => {
      const loopback = await openLoopback()
      onTestFinished(loopback.close)
      const item = { label: 'x', desc: 'y', icon: 'rocket', ...items(loopback.url)[name] }
      const { text } = await draws({ template: row, data: { items: [item] }, format: 'svg' })
      const svg = text.slice(0, text.lastIndexOf('</svg>'))
      expect(svg).not.toMatch(
        /<(?:script|iframe|object|embed|img)|javascript:|<[^>]*\son\w+\s*=|<style[^>]*>[^<]*@import/i,
      )
      expect(svg).not.toMatch(/<[^>]*\s(?:href|src|xlink:href)\s*=\s*["']?\s*(?!#)[^"'\s]/i)
      expect(svg).not.toMatch(/<[^>]*url\(\s*(?:["']|&quot;)?(?!#)[^)]/i)
      expect(loopback.seen).toEqual([])
    })

    test('shows HTML in a label as it was written', async () => {
      const label = '<b>bold</b> & more'
      const { text } = await draws({ template: row, data: { items: [{ label }] }, format: 'svg' })
      expect(text).toContain('&lt;b&gt;bold&lt;/b&gt; &amp; more')
      expect(text).not.toContain('not shown')
    })
  })

  test('answers two hundred calls at once with a picture or with busy, in less memory than its container has', async () => {
    const call = (index: number) =>
      ['render_infographic', { template: row, data: { items: [`n${index}`] }, width: 400 }] as const
    const { drawn, busy, peak } = await raiseStorm(program.pid!, client, call)
    expect([drawn.length >= 2, drawn.length + busy.length]).toEqual([true, 200])
    for (const { images } of drawn) expect(decodePng(images[0]!).colours().size).toBeGreaterThan(10)
    expect(peak).toBeLessThan(2 ** 30)
    expect((await draws({ syntax: small })).text).toMatch(/^png/)
  })

  test('goes on when its browser is killed under calls', async () => {
    const [browser] = descendants(program.pid!)
    const calls = Array.from({ length: 6 }, () => draws({ syntax: small, width: 400 }))
    process.kill(browser!, 'SIGKILL')
    for (const { images } of await Promise.all(calls)) expect(images).toHaveLength(1)
    expect(descendants(program.pid!)).not.toContain(browser)
  })
})

async function drawExample(page: Page, template: Template, known: Known): Promise<void> {
  const input = { syntax: exampleOf(template), format: 'png' as const, width: 400 }
  const { png, svg } = await produce(page, input, known)
  const { width, height, ...pixels } = decodePng(png!)
  const colours = pixels.colours()
  const painted = 1 - (colours.get(white) ?? 0) / (width * height)
  const parts = svg.match(/<(?:path|rect|circle|polygon|ellipse|text|foreignObject)\b/g)?.length ?? 0
  expect([template.name, width, painted > 0.01, colours.size > 20, parts > 2]).toEqual([
    template.name,
    400,
    true,
    true,
    true,
  ])
  expect(svg).toMatch(/^<svg[^>]*>.*<\/svg>$/s)
}

suite('a page that draws infographics', ['chromium'], () => {
  test('draws the example of each of the 276 templates as a picture that is not blank and as SVG', {
    timeout: 600_000,
  }, async () => {
    const studio = openStudio({ PATH: process.env.PATH, RENDER_TIMEOUT_MS: '20000' })
    onTestFinished(studio.pool.close)
    const known = await studio.known(AbortSignal.timeout(60_000))
    expect(known.templates).toHaveLength(276)
    const batches = Array.from({ length: 46 }, (_, batch) => known.templates.slice(batch * 6, batch * 6 + 6)).values()
    const drawBatches = async () => {
      for (const templates of batches)
        await studio.pool.render(async (page) => {
          for (const template of templates) await drawExample(page, template, known)
        })
    }
    await Promise.all([drawBatches(), drawBatches()])
  })

  test.each(['light', 'hand-drawn'])('asks nobody for anything in the %s theme', async (theme) => {
    const studio = openStudio({ PATH: process.env.PATH, RENDER_CONCURRENCY: '1' })
    onTestFinished(studio.pool.close)
    const watched = async (page: Page) => {
      const asked: string[] = []
      page.on('request', (request) => asked.push(request.url()))
      await page.evaluate(() => {
        const refused: string[] = []
        Reflect.set(globalThis, 'refused', refused)
        Reflect.get(globalThis, 'document').addEventListener('securitypolicyviolation', (event: object) =>
          refused.push(String(Reflect.get(event, 'blockedURI'))),
        )
      })
      const data = {
        title: 'Steps',
        items: [{ label: 'one', icon: '<svg viewBox="0 0 1 1"><path d="M0 0h1v1z"/></svg>' }],
      }
      const { svg } = await draw(page, { options: { template: row, data, theme }, texts: [], font: 'sans-serif' })
      return { svg, asked, refused: await page.evaluate(() => Reflect.get(globalThis, 'refused')) }
    }
    expect(await studio.pool.render(watched)).toEqual({ svg: expect.stringContaining('one'), asked: [], refused: [] })
  })
})

describe('an infographic server', () => {
  suite('that runs', ['chromium'], () => {
    test('stops when it is asked to, with its browser', async () => {
      const program = await startProgram(main)
      await vi.waitFor(async () => expect((await fetch(`${program.url}/readyz`)).status).toBe(200), { timeout: 20_000 })
      const family = descendants(program.pid!)
      expect(family.length).toBeGreaterThan(0)
      program.kill('SIGTERM')
      expect(await program.ended).toBe(0)
      await vi.waitFor(() => expect(family.filter((pid) => descendants(pid).length > 0)).toEqual([]), {
        timeout: 5_000,
      })
    })
  })

  test.each([
    ['without Chromium', { PATH: '/nowhere' }, /install Debian's chromium-headless-shell/],
    ['with a wrong limit', { RENDER_TIMEOUT_MS: 'soon' }, /RENDER_TIMEOUT_MS="soon"/],
    ['with a font that is more than one', { INFOGRAPHIC_FONT: 'x; } body {' }, /INFOGRAPHIC_FONT/],
  ])('says why in one line when it starts %s', async (_, env, words) => {
    const { code, lines } = await failProgram(main, env)
    expect([code, lines.length, lines[0]?.msg]).toEqual([1, 1, expect.stringMatching(words)])
  })
})
