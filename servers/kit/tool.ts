import type { CallToolResult, McpServer, StandardSchemaWithJSON, ToolAnnotations } from '@modelcontextprotocol/server'
import { log } from './log.ts'

/** For servers, so that only the kit knows the SDK. */
export type { McpServer }

/** The caller can do something about it: its message is the tool's answer, with `isError`. */
export class ToolFailure extends Error {}

export interface Tool<Input> {
  readonly name: string
  readonly title: string
  readonly description: string
  /** A zod object. Blank strings and nulls in the arguments count as absent: language models send them for "none". */
  readonly input: StandardSchemaWithJSON<unknown, Input>
  readonly annotations?: ToolAnnotations
}

type Block = CallToolResult['content'][number]

/** Text alone, or the blocks of MCP. */
export type Answer = string | readonly Block[]

export function text(words: string): Block {
  return { type: 'text', text: words }
}

export function image(bytes: Buffer, mimeType: string): Block {
  return { type: 'image', data: bytes.toString('base64'), mimeType }
}

/**
 * Registers a tool. `run` answers with text or content blocks; the signal fires when the caller is gone.
 * What `run` throws becomes an answer with `isError`: a `ToolFailure` in its own words, anything else is logged and
 * answered without its details.
 */
export function addTool<Input>(
  server: McpServer,
  tool: Tool<Input>,
  run: (input: Input, signal: AbortSignal) => Answer | Promise<Answer>,
): void {
  const { name, title, description } = tool
  const annotations = { readOnlyHint: true, openWorldHint: false, ...tool.annotations }
  // Parsed by the schema on the way in, so the value that arrives is the closure that holds it.
  const inputSchema = withoutBlanks(tool.input, (input) => (signal: AbortSignal) => run(input, signal))
  server.registerTool(name, { title, description, inputSchema, annotations }, async (start, context) => {
    const began = performance.now()
    const result = await attempt(name, () => start(context.mcpReq.signal))
    log.info({ tool: name, ok: result.isError !== true, ms: Math.round(performance.now() - began) }, 'call')
    return result
  })
}

async function attempt(name: string, start: () => Answer | Promise<Answer>): Promise<CallToolResult> {
  try {
    const answer = await start()
    return { content: typeof answer === 'string' ? [text(answer)] : [...answer] }
  } catch (error) {
    if (!(error instanceof ToolFailure)) log.error({ err: error, tool: name }, 'tool failed')
    const words = error instanceof ToolFailure ? error.message : `${name} failed inside the server; its log says why`
    return { content: [text(words)], isError: true }
  }
}

function withoutBlanks<Input, Output>(
  schema: StandardSchemaWithJSON<unknown, Input>,
  map: (input: Input) => Output,
): StandardSchemaWithJSON<unknown, Output> {
  const { vendor, jsonSchema, validate } = schema['~standard']
  const parse = async (value: unknown) => {
    const parsed = await validate(value instanceof Object ? present(value) : value)
    if (parsed.issues === undefined) return { value: map(parsed.value) }
    return { issues: parsed.issues.map((issue) => ({ ...issue, message: issue.message + hintFor(issue, jsonSchema) })) }
  }
  return { '~standard': { version: 1, vendor, jsonSchema, validate: parse } }
}

/** What there is, for a name that there is not: zod says only that it knows none such. */
function hintFor(issue: object, { input }: StandardSchemaWithJSON['~standard']['jsonSchema']): string {
  if (!('code' in issue && issue.code === 'unrecognized_keys')) return ''
  const { properties } = input({ target: 'draft-2020-12' })
  return `; there are ${Object.keys(properties instanceof Object ? properties : {}).join(', ') || 'none'}`
}

function present(given: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== ''))
}
