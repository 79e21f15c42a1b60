import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import type { Aside } from '../kit/door.ts'
import { log } from '../kit/log.ts'
import { ToolFailure } from '../kit/tool.ts'
import { chartKinds, districtMapTool, districtMapWords, isChartType } from './catalogue.ts'
import { picturePath, pictureUrl } from './picture-url.ts'
import type { Studio } from './studio.ts'

const visPath = '/api/gpt-vis'
const mostBytes = 4 * 1024 * 1024

/** What AntV's MCP server sends to its VIS_REQUEST_SERVER: a chart by its type, a map by the name of its tool. */
const asked = z.union([
  z.looseObject({ type: z.string() }).transform(({ type, ...given }) => ({ type, given, isMap: false })),
  z
    .object({ tool: z.string(), input: z.record(z.string(), z.unknown()) })
    .transform(({ tool, input }) => ({ type: typeOf(tool), given: input, isMap: true })),
])

/**
 * The HTTP interface of AntV's remote service: `POST /` or `/api/gpt-vis` with `{type, …}` is answered with
 * `{success, resultObj, errorMessage}`, where `resultObj` is the address of a picture that is kept here for an hour.
 */
export function createVis(studio: Studio): Aside {
  return async (request, response) => {
    const path = request.url?.split('?')[0] ?? ''
    if (path.startsWith(picturePath)) return showPicture(studio, path.slice(picturePath.length), response)
    if (request.method !== 'POST' || (path !== '/' && path !== visPath)) return false
    await answerVis(studio, request, response)
    return true
  }
}

function showPicture(studio: Studio, file: string, response: ServerResponse): boolean {
  const png = file.endsWith('.png') ? studio.pictures.get(file.slice(0, -4)) : undefined
  if (png === undefined) return false
  response.writeHead(200, {
    'content-type': 'image/png',
    'content-length': png.length,
    'cache-control': 'private, max-age=3600',
  })
  response.end(png)
  return true
}

async function answerVis(studio: Studio, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const began = performance.now()
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const answer = await draw(studio, request, gone.signal).then(
    (resultObj) => ({ success: true, resultObj }),
    (error: unknown) => ({ success: false, errorMessage: wordsOf(error) }),
  )
  log.info({ path: visPath, ok: answer.success, ms: Math.round(performance.now() - began) }, 'call')
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}

async function draw(studio: Studio, request: IncomingMessage, signal: AbortSignal): Promise<unknown> {
  const { data: wanted } = asked.safeParse(await readJson(request))
  if (wanted === undefined) throw new ToolFailure('send {"type": "line", "data": …}')
  const { type, given, isMap } = wanted
  if (!isChartType(type))
    throw new ToolFailure(type === 'district-map' ? districtMapWords : `there is no type "${type}"`)
  const { png } = await studio.draw(type, given, signal)
  const url = pictureUrl(studio.settings.CHART_PUBLIC_URL ?? ownAddress(request), studio.pictures.add(png))
  return isMap ? { content: [{ type: 'text', text: url }] } : url
}

function typeOf(tool: string): string {
  return tool === districtMapTool ? 'district-map' : (chartKinds.find((kind) => kind.tool === tool)?.type ?? tool)
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? Number.NaN) > mostBytes) throw tooLarge()
  let bytes = 0
  const counted = async function* () {
    for await (const chunk of request) {
      bytes += chunk.length
      if (bytes > mostBytes) throw tooLarge()
      yield chunk
    }
  }
  const body = await text(counted())
  try {
    return JSON.parse(body)
  } catch {
    throw new ToolFailure('the body is no JSON')
  }
}

function tooLarge(): ToolFailure {
  return new ToolFailure('the body has more than 4 MB')
}

/** Where the caller reached this server, by its own words; a name that is none is not repeated. */
function ownAddress(request: IncomingMessage): string {
  const { host = '' } = request.headers
  if (/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(host)) return `http://${host}`
  throw new ToolFailure('the request has no usable Host; set CHART_PUBLIC_URL')
}

function wordsOf(error: unknown): string {
  if (error instanceof ToolFailure) return error.message
  log.error({ err: error }, 'a request for a chart failed')
  return 'the chart could not be drawn; the log of the server says why'
}
