import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { suite } from '../support/machine.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { decodePng, type Pixels } from '../support/png.ts'
import { launchProgram, type Program } from '../support/program.ts'

vi.setConfig({ testTimeout: 60_000 })

const main = fileURLToPath(new URL('../../servers/chart/main.ts', import.meta.url))
const examples = new URL('../../servers/chart/examples/', import.meta.url)
const types = readdirSync(examples).map((file) => file.replace('.json', ''))
const white = 0xffffffff

type Args = Readonly<Record<string, unknown>>

const example = (type: string): Args => JSON.parse(readFileSync(new URL(`${type}.json`, examples), 'utf8'))
const toolOf = (type: string) => {
  const name = type.replaceAll('-', '_')
  return /diagram|map|graph|organization|spreadsheet/.test(name) && name !== 'treemap'
    ? `generate_${name}`
    : `generate_${name}_chart`
}

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

const draw = async (type: string, args: Args) => {
  const answer = await client.callTool(toolOf(type), args)
  expect(answer).toMatchObject({ isError: false })
  return answer
}
const picture = async (type: string, args: Args) => decodePng((await draw(type, args)).images[0]!)
const fault = async (type: string, args: Args) => {
  const { text, images, isError } = await client.callTool(toolOf(type), args)
  expect([isError, images]).toEqual([true, []])
  return text
}

/** How many pixels are as dark and as grey as ink on paper is, and nothing else in these charts. */
function inked(png: Pixels): number {
  const dark = (colour: number) => {
    const channels = [colour >>> 24, (colour >>> 16) & 255, (colour >>> 8) & 255]
    return Math.max(...channels) < 110 && Math.max(...channels) - Math.min(...channels) < 16
  }
  return [...png.colours()].reduce((sum, [colour, count]) => sum + (dark(colour) ? count : 0), 0)
}

describe('chart', () => {
  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${program.url}/mcp`)
    onTestFinished(agent.close)
    expect(await agent.listTools()).toHaveLength(27)
    const { text, images, isError } = await agent.callTool('generate_pie_chart', example('pie'))
    expect({ isError, text }).toEqual({ isError: false, text: 'pie, 5 points, 600×400, png 1200×800' })
    expect(decodePng(images[0]!).colours().size).toBeGreaterThan(5)
  })

  test('is ready', async () => {
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })

  test('says what its tools are in less than 20 kB', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
    const headers = { 'content-type': 'application/json', accept: '*/*' }
    const answer = await fetch(`${program.url}/mcp`, { method: 'POST', headers, body })
    const listed = await answer.text()
    expect(listed).toContain('generate_word_cloud_chart')
    expect(Buffer.byteLength(listed)).toBeLessThan(20_000)
  })

  test.each(types)('draws %s', async (type) => {
    const { text, images } = await draw(type, example(type))
    const [, name, ...sizes] = /^(\S+), \d+ points?, (\d+)×(\d+), png (\d+)×(\d+)$/.exec(text) ?? []
    const [width = 0, height = 0, pixelWidth, pixelHeight] = sizes.map(Number)
    const png = decodePng(images[0]!)
    expect([name, png.width, png.height]).toEqual([type, pixelWidth, pixelHeight])
    expect([pixelWidth, pixelHeight]).toEqual([width * 2, height * 2])
    const colours = png.colours()
    const ground = Math.max(...colours.values())
    expect(1 - ground / (png.width * png.height)).toBeGreaterThan(0.01)
    expect(colours.size).toBeGreaterThan(20)
    expect(inked(png)).toBeGreaterThan(150)
  })

  test.each(['line', 'mind-map', 'spreadsheet'])('draws %s of one point', async (type) => {
    const one: Args = {
      line: { data: [{ time: '2020', value: 3 }] },
      'mind-map': { data: { name: 'alone' } },
      spreadsheet: { data: [{ a: 'alone' }] },
    }
    expect(inked(await picture(type, one[type] as Args))).toBeGreaterThan(50)
  })

  test('paints the background, the theme and the palette that were asked for', async () => {
    const data = [{ category: 'a', value: 1 }]
    const corner = async (args: Args) => (await picture('column', { data, ...args })).at(2, 2)
    expect(await corner({})).toBe(white)
    expect(await corner({ style: { backgroundColor: '#0af' } })).toBe(0x00aaffff)
    expect(await corner({ theme: 'dark' })).toBe(0x141414ff)
    const red = await picture('column', { data, style: { palette: ['#ff0000'] } })
    const reds = [...red.colours()].filter(([colour]) => colour >>> 24 > 240 && ((colour >>> 16) & 255) < 30)
    expect(reds.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(10_000)
    const plain = await picture('column', { data })
    const rough = await picture('column', { data, style: { texture: 'rough' } })
    expect(rough.colours().size).toBeGreaterThan(plain.colours().size * 1.5)
    for (const type of ['flow-diagram', 'liquid', 'sankey'])
      expect((await picture(type, { ...example(type), style: { texture: 'rough' } })).colours().size).toBeGreaterThan(
        20,
      )
  })

  test('writes the title and the titles of the axes', async () => {
    const data = [{ time: '1', value: 1 }]
    const bare = inked(await picture('line', { data }))
    const titled = inked(await picture('line', { data, title: 'A title of some length' }))
    const axes = inked(await picture('line', { data, axisXTitle: 'some words below', axisYTitle: 'some words beside' }))
    expect(titled).toBeGreaterThan(bare + 500)
    expect(axes).toBeGreaterThan(bare + 100)
  })

  test('puts times in their order where they have one, and leaves words as they come', async () => {
    const point = (time: string, value: number) => ({ time, value })
    const drawn = async (...data: readonly unknown[]) => [...(await picture('line', { data })).colours()].toSorted()
    const sorted = await drawn(point('2020-01', 1), point('2020-02', 5), point('2020-03', 2))
    expect(await drawn(point('2020-03', 2), point('2020-01', 1), point('2020-02', 5))).toEqual(sorted)
    const words = await drawn(point('one', 1), point('two', 5), point('three', 2))
    expect(await drawn(point('three', 2), point('one', 1), point('two', 5))).not.toEqual(words)
  })

  test('takes numbers given as text, lists given as JSON, and null for what is not there', async () => {
    const { text } = await draw('bar', {
      data: '[{"category": 2020, "value": "3.5", "group": null}, {"category": "b", "value": "1e2"}]',
      width: '300',
      height: '200',
      stack: 'false',
      title: null,
    })
    expect(text).toBe('bar, 2 points, 300×200, png 600×400')
  })

  test('draws at most 8 megapixels', async () => {
    const { text } = await draw('pie', { ...example('pie'), width: 2000, height: 2000 })
    expect(text).toMatch(/2000×2000, png 2000×2000$/)
  })

  test('says that a district map needs the service of AntV, and what to draw instead', async () => {
    expect(await fault('district-map', { title: 'x', data: { name: 'y' } })).toMatch(
      /remote map service.*generate_pin_map/s,
    )
  })

  test('finds places by the names of countries and cities, by coordinates, and asks for those that it does not know', async () => {
    const { text } = await draw('pin-map', {
      title: 'Places',
      data: ['France', 'new york', '北京市', 'Home@-33.4,-70.6', { name: 'Camp', longitude: '8.5', latitude: 47 }],
    })
    expect(text).toMatch(/^pin-map, 5 points/)
    expect(await fault('pin-map', { title: 'x', data: ['Atlantis'] })).toMatch(
      /no place "Atlantis".*latitude,longitude/,
    )
    expect(await fault('path-map', { title: 'x', data: [{ data: ['Far@120,30'] }] })).toMatch(/not on the earth/)
  })
})

suite('chart with a Chinese font', ['cjk-font'], () => {
  test.each(['column', 'mind-map', 'spreadsheet'])('gives every character of a %s its own shape', async (type) => {
    const of = (text: string): Args =>
      ({
        column: { data: [{ category: text, value: 1 }] },
        'mind-map': { data: { name: text } },
        spreadsheet: { data: [{ [text]: text }] },
      })[type] ?? {}
    const drawn = async (text: string) => [...(await picture(type, of(text))).colours()].toSorted()
    const shapes = await Promise.all(['你好', '世界', 'にほ', '한국', 'שלום', '✅✅'].map(drawn))
    expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(6)
  })
})

suite('the tools of chart', ['shared-data'], () => {
  test('are those of AntV, by name', async () => {
    const listed = readFileSync(new URL('../../../shared/data/antv-chart-tools.txt', import.meta.url), 'utf8')
    const names = [...listed.matchAll(/^### (\w+)/gm)].map(([, name]) => name)
    expect(names).toHaveLength(27)
    expect((await client.listTools()).toSorted()).toEqual(names.toSorted())
  })

  test('take the parameters of AntV’s', async () => {
    const listed = readFileSync(new URL('../../../shared/data/antv-chart-tools.txt', import.meta.url), 'utf8')
    const agentsView = await fetch(`${program.url}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    }).then((answer) => answer.text())
    const { result } = JSON.parse(/^data: (.*)$/m.exec(agentsView)![1]!)
    for (const tool of result.tools) {
      if (tool.name === 'generate_district_map') continue
      const line = new RegExp(`^### ${tool.name} .*\\n(.*)$`, 'm').exec(listed)![1]!
      const top = line
        .replace(/<[^;]*>/g, '')
        .split(';')
        .map((part: string) => part.trim().split(/[*:]/)[0]!)
      expect(Object.keys(tool.inputSchema.properties).toSorted(), tool.name).toEqual(top.toSorted())
    }
  })
})

describe('chart, given bad input', () => {
  const one = [{ category: 'a', value: 1 }]
  const value = (given: unknown): Args => ({ data: [{ category: 'a', value: given }] })
  const nested = (depth: number): object =>
    depth === 0 ? { name: 'leaf' } : { name: `n${depth}`, children: [nested(depth - 1)] }

  test.each<[string, string, Args, RegExp]>([
    ['no data', 'line', {}, /^data: give a list$/],
    ['empty data', 'line', { data: [] }, /^data: give at least one$/],
    ['an object for data', 'pie', { data: { a: 1 } }, /^data: give a list$/],
    ['text for data', 'pie', { data: 'a, b' }, /^data: give a list$/],
    ['a list of numbers for data', 'pie', { data: [1, 2] }, /data\[0\]: give an object/],
    ['null for a value', 'pie', value(null), /^data\[0\]\.value: give a number$/],
    ['true for a value', 'pie', value(true), /^data\[0\]\.value: give a number$/],
    ['words for a value', 'pie', value('12 %'), /^data\[0\]\.value: give a number$/],
    ['NaN for a value', 'pie', value('NaN'), /^data\[0\]\.value: give a number$/],
    ['Infinity for a value', 'pie', value('Infinity'), /^data\[0\]\.value: give a number$/],
    ['1e308', 'column', value(1e308), /too large for a chart/],
    ['5,001 points', 'histogram', { data: Array.from({ length: 5_001 }, (_, i) => i) }, /5001 points, more than 5000/],
    ['a negative part of a pie', 'pie', value(-3), /no negative number/],
    ['a pie of nothing', 'pie', value(0), /all values are 0/],
    ['34 for 0.34', 'liquid', { percent: 34 }, /give 0 to 1: 0.34 for 34 %/],
    ['no percent', 'liquid', {}, /^percent: give a number$/],
    [
      'a node that is there twice',
      'flow-diagram',
      { data: { nodes: [{ name: 'a' }, { name: 'a' }], edges: [] } },
      /"a" is there twice/,
    ],
    [
      'an edge to nowhere',
      'network-graph',
      { data: { nodes: [{ name: 'a' }], edges: [{ source: 'a', target: 'z' }] } },
      /no node "z"/,
    ],
    [
      'a flow in a circle',
      'sankey',
      {
        data: [
          { source: 'a', target: 'b', value: 1 },
          { source: 'b', target: 'a', value: 1 },
        ],
      },
      /in a circle/,
    ],
    ['a flow into itself', 'sankey', { data: [{ source: 'a', target: 'a', value: 1 }] }, /in a circle through "a"/],
    ['a tree of 50 levels', 'mind-map', { data: nested(50) }, /more than 20 levels/],
    [
      'a tree of 3,000 levels',
      'organization-chart',
      { data: `${'{"name":"n","children":['.repeat(3_000)}${']}'.repeat(3_000)}` },
      /more than 20 levels/,
    ],
    [
      'a node without a name',
      'mind-map',
      { data: { name: 'a', children: [{ label: 'b' }] } },
      /^data\.children\[0\]\.name: give a text$/,
    ],
    ['width 0', 'pie', { data: one, width: 0 }, /^width: give 100 to 2000$/],
    ['width -1', 'pie', { data: one, width: -1 }, /^width: give 100 to 2000$/],
    ['width 1e6', 'pie', { data: one, width: 1e6 }, /^width: give 100 to 2000$/],
    [
      'a script for a colour',
      'pie',
      { data: one, style: { palette: ['javascript:alert(1)'] } },
      /^style\.palette\[0\]: give a colour/,
    ],
    [
      'an address for a background',
      'pie',
      { data: one, style: { backgroundColor: 'url(http://127.0.0.1/)' } },
      /^style\.backgroundColor: give a colour/,
    ],
    ['no such colour', 'pie', { data: one, style: { palette: ['nocolour'] } }, /there is no colour "nocolour"/],
    ['a title of 10 kB', 'pie', { data: one, title: 'x'.repeat(10_000) }, /^title: the text has more than 200/],
    ['an unknown theme', 'pie', { data: one, theme: 'pink' }, /^theme: /],
    [
      'series of another length',
      'dual-axes',
      { categories: ['a'], series: [{ type: 'line', data: [1, 2] }] },
      /2 numbers for 1 categories/,
    ],
    ['a step without a value', 'waterfall', { data: [{ category: 'a' }] }, /give a number, or say that it is a total/],
    ['an unknown column', 'spreadsheet', { data: [{ a: 1 }], rows: ['b'] }, /no row has b; there are a/],
    ['a treemap of nothing', 'treemap', { data: [{ name: 'a' }] }, /no node has a value above 0/],
  ])('says what is wrong with %s', async (_, type, args, words) => {
    expect(await fault(type, args)).toMatch(words)
  })

  const small = { width: 300, height: 200 }
  const odd = [
    '__proto__',
    'constructor',
    'toString',
    'اَلْعَرَبِيَّةُ',
    'עברית',
    '中文',
    '👩‍👩‍👧 🇨🇭',
    '{process.exit()}',
    '<b>x</b>',
    'a\u0000b\ud800',
    ' ',
  ]

  test.each(types.filter((type) => !type.endsWith('map') || type === 'treemap'))(
    'draws %s with odd labels',
    async (type) => {
      let at = 0
      const labels = new Map<string, string>()
      const renamed = (text: string) => {
        if (!labels.has(text)) labels.set(text, at < odd.length ? odd[at++]! : text)
        return labels.get(text)!
      }
      const named = new Set([
        'category',
        'time',
        'group',
        'name',
        'text',
        'source',
        'target',
        'label',
        'title',
        'description',
        'region',
        'fruit',
      ])
      const rename = (given: unknown, key = ''): unknown => {
        if (typeof given === 'string') return named.has(key) ? renamed(given) : given
        if (Array.isArray(given))
          return given.map((item) => (key === 'sets' || key === 'categories' ? renamed(item) : rename(item, key)))
        return given instanceof Object
          ? Object.fromEntries(Object.entries(given).map(([k, v]) => [k, rename(v, k)]))
          : given
      }
      const args = { ...example(type), ...(rename(example(type)) as Args), ...small }
      expect((await picture(type, args)).colours().size).toBeGreaterThan(10)
    },
  )

  test.each(
    types.filter((type) =>
      /^(?:line|area|bar|column|scatter|histogram|boxplot|violin|radar|funnel|waterfall|word-cloud|pie)$/.test(type),
    ),
  )('draws %s of equal values', async (type) => {
    const { data, ...rest } = example(type)
    const equal = (data as readonly unknown[]).map((point) =>
      point instanceof Object ? { ...point, ...('value' in point ? { value: 7 } : { x: 7, y: 7 }) } : 7,
    )
    expect((await picture(type, { ...rest, ...small, data: equal })).colours().size).toBeGreaterThan(10)
  })

  test('draws 5,000 points', async () => {
    const data = Array.from({ length: 5_000 }, (_, i) => ({ time: String(i), value: Math.sin(i / 100) }))
    expect((await draw('line', { data })).text).toMatch(/^line, 5000 points/)
  })

  test('is alive after all of that', async () => {
    expect((await draw('pie', example('pie'))).images).toHaveLength(1)
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })
})
