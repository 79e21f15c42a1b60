import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { rpc } from '../support/proxy.ts'

const autocannon = fileURLToPath(new URL('../../node_modules/autocannon/autocannon.js', import.meta.url))
const Result = z.object({
  requests: z.object({ average: z.number(), total: z.number() }),
  latency: z.object({ p50: z.number(), p99: z.number() }),
  non2xx: z.number(),
  errors: z.number(),
})
export type Result = z.infer<typeof Result>

export interface Target {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly call: object
}

export const mcpHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const version = '2026-07-28'
const _meta = { 'io.modelcontextprotocol/protocolVersion': version, 'io.modelcontextprotocol/clientCapabilities': {} }

/** A call of a tool as clients of the newer era make it. */
export function modernCall(url: string, name: string, headers: Target['headers'], more: object = {}): Target {
  const named = { 'mcp-protocol-version': version, 'mcp-method': 'tools/call', 'mcp-name': name }
  const call = rpc('tools/call', { name, arguments: { text: 'hello', ...more }, _meta })
  return { url, headers: { ...mcpHeaders, ...named, ...headers }, call }
}

/** Calls one tool over and over on so many connections. Throws where one call fails. */
export async function fire(target: Target, connections: number, seconds: number): Promise<Result> {
  const flags = Object.entries(target.headers).flatMap(([key, value]) => ['-H', `${key}: ${value}`])
  const shape = ['-j', '-n', '-c', `${connections}`, '-d', `${seconds}`, '-m', 'POST']
  const asked = [...shape, '-b', JSON.stringify(target.call), ...flags, target.url]
  const { stdout } = await promisify(execFile)(process.execPath, [autocannon, ...asked])
  const result = Result.parse(JSON.parse(stdout))
  if (result.errors + result.non2xx > 0)
    throw new Error(`${target.url}: ${result.errors} errors, ${result.non2xx} not 2xx`)
  return result
}
