import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { openPictures } from '../../servers/chart/pictures.ts'
import { connectCurl } from '../support/mcp-clients.ts'
import { launchProgram, type Program, startProgram } from '../support/program.ts'

vi.setConfig({ testTimeout: 60_000 })

const folder = new URL('../../servers/chart/', import.meta.url)
const main = fileURLToPath(new URL('main.ts', folder))
const types = readdirSync(new URL('examples/', folder)).map((file) => file.replace('.json', ''))
const example = (type: string) => JSON.parse(readFileSync(new URL(`examples/${type}.json`, folder), 'utf8'))

const Answered = z.object({
  success: z.boolean(),
  resultObj: z.string().optional(),
  errorMessage: z.string().optional(),
})
const Called = z.object({ content: z.array(z.object({ text: z.string() })) })

let program: Program
beforeAll(async () => {
  program = await launchProgram(main, {})
})
afterAll(async () => {
  program.kill('SIGTERM')
  await program.ended
})

const post = async (body: unknown, path = '/') => {
  const raw = typeof body === 'string' ? body : JSON.stringify(body)
  const answer = await fetch(`${program.url}${path}`, {
    method: 'POST',
    body: raw,
    headers: { 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(200)
  return Answered.parse(await answer.json())
}

describe('the real MCP server of AntV, with chart as its VIS_REQUEST_SERVER', () => {
  let client: Client
  beforeAll(async () => {
    client = new Client({ name: 'test', version: '1' })
    const command = fileURLToPath(new URL('node_modules/@antv/mcp-server-chart/build/index.js', folder))
    const env = { PATH: process.env.PATH ?? '', VIS_REQUEST_SERVER: `${program.url}/api/gpt-vis` }
    await client.connect(
      new StdioClientTransport({ command: process.execPath, args: [command], env, stderr: 'ignore' }),
    )
  })
  afterAll(() => client.close())

  test.each(types)('draws %s', async (type) => {
    const { tools } = await client.listTools()
    const name = tools.map((tool) => tool.name).find((one) => one.includes(`_${type.replaceAll('-', '_')}`))
    const args = example(type)
    // It takes names of places and no coordinates.
    if (type === 'pin-map')
      args.data = [...args.data.filter((place: unknown) => typeof place === 'string'), 'Camp@54.4,18.6']
    const { content } = Called.parse(await client.callTool({ name: name!, arguments: args }))
    expect(content[0]!.text).toMatch(new RegExp(`^${program.url}/pictures/[0-9a-f-]{36}\\.png$`))
    const shown = await fetch(content[0]!.text)
    expect(shown.headers.get('content-type')).toBe('image/png')
    const png = Buffer.from(await shown.arrayBuffer())
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([(args.width ?? 600) * 2, (args.height ?? 400) * 2])
  })

  test('passes on what is wrong', async () => {
    const data = [{ category: 'a', value: -1 }]
    await expect(client.callTool({ name: 'generate_pie_chart', arguments: { data } })).rejects.toThrow(
      /data\[0\]\.value: give no negative number here/,
    )
    const district = { title: 'x', data: { name: '北京市' } }
    await expect(client.callTool({ name: 'generate_district_map', arguments: district })).rejects.toThrow(
      /needs the outlines.*remote map service/,
    )
  })
})

describe('a POST of a chart', () => {
  const data = [{ category: 'a', value: 1 }]

  test('is answered with the address of a picture', async () => {
    const { success, resultObj } = await post({ type: 'pie', data, source: 'test' })
    expect(success).toBe(true)
    expect((await fetch(resultObj!)).status).toBe(200)
  })

  test.each<[string, unknown, RegExp]>([
    ['no JSON', 'pie', /no JSON/],
    ['no type', { data }, /send \{"type": "line"/],
    ['an unknown type', { type: 'tart', data }, /there is no type "tart"/],
    ['an inherited type', { type: 'constructor', data }, /there is no type "constructor"/],
    ['wrong data', { type: 'pie', data: [] }, /^data: give at least one$/],
    ['too much', { type: 'pie', data, more: 'x'.repeat(5e6) }, /more than 4 MB/],
  ])('is answered with what is wrong: %s', async (_, body, words) => {
    expect(await post(body)).toEqual({ success: false, errorMessage: expect.stringMatching(words) })
  })

  test('is no business of a browser', async () => {
    const headers = { origin: 'http://evil.example', 'content-type': 'text/plain' }
    const body = JSON.stringify({ type: 'pie', data })
    expect((await fetch(program.url, { method: 'POST', headers, body })).status).toBe(403)
  })

  test.each([
    '/pictures/',
    '/pictures/00000000-0000-0000-0000-000000000000.png',
    '/pictures/..%2fmain.ts',
    '/',
    '/api/gpt-vis',
  ])('is not found by GET %s', async (path) => {
    expect((await fetch(`${program.url}${path}`)).status).toBe(404)
  })
})

test('a tool’s answer has the picture’s address too where this server has a public one', async () => {
  const own = await startProgram(main, { CHART_PUBLIC_URL: 'https://charts.example/base/' })
  const client = await connectCurl(`${own.url}/mcp`)
  const { text, images } = await client.callTool('generate_pie_chart', { data: [{ category: 'a', value: 1 }] })
  const [, path] = /^pie, 1 point, .*\nhttps:\/\/charts\.example\/base(\/pictures\/\S+\.png)$/.exec(text) ?? []
  const shown = Buffer.from(await (await fetch(`${own.url}${path}`)).arrayBuffer())
  expect(shown.equals(images[0]!)).toBe(true)
})

describe('kept pictures', () => {
  test('are forgotten after their time', () => {
    let now = 0
    const pictures = openPictures({ milliseconds: 1_000, bytes: 100 }, () => now)
    const name = pictures.add(Buffer.alloc(10))
    now = 999
    expect(pictures.get(name)).toHaveLength(10)
    now = 1_000
    expect(pictures.get(name)).toBeUndefined()
  })

  test('make room for newer ones, the oldest first', () => {
    const pictures = openPictures({ milliseconds: 1_000, bytes: 100 }, () => 0)
    const names = Array.from({ length: 5 }, () => pictures.add(Buffer.alloc(30)))
    expect(names.map((name) => pictures.get(name)?.length)).toEqual([undefined, undefined, 30, 30, 30])
  })
})
