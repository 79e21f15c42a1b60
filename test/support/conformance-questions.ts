import { hash } from 'node:crypto'
import {
  type CallToolResult,
  createRequestStateCodec,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  inputResponse,
  type McpServer,
  type PrimitiveSchemaDefinition,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { say } from './conformance-content.ts'
import { defaultsSchema, enumsSchema } from './conformance-forms.ts'

/** Proves that a state that comes back is one that was given out. */
export const states = createRequestStateCodec<string>({ key: hash('sha256', String(process.pid)) })

type Answer = CallToolResult | InputRequiredResult
type Questions = Record<
  string,
  { readonly request: InputRequests[string]; readonly kind: 'elicit' | 'sampling' | 'roots' }
>

const form = (message: string, name: string, type: 'string' | 'boolean' = 'string') => {
  const property: PrimitiveSchemaDefinition = type === 'string' ? { type } : { type }
  const requestedSchema = { type: 'object' as const, properties: { [name]: property }, required: [name] }
  return { kind: 'elicit' as const, request: inputRequired.elicit({ message, requestedSchema }) }
}
const sample = (text: string, maxTokens = 100) => ({
  kind: 'sampling' as const,
  request: inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text } }], maxTokens }),
})
const roots = { kind: 'roots' as const, request: inputRequired.listRoots() }

/** Asks until everything was answered in kind. */
async function ask(ctx: ServerContext, questions: Questions, done: string, state?: string): Promise<Answer> {
  const { inputResponses } = ctx.mcpReq
  const isMissing = Object.entries(questions).some(
    ([key, { kind }]) => inputResponse(inputResponses, key).kind !== kind,
  )
  if (!isMissing && (state === undefined || ctx.mcpReq.requestState<string>() === state))
    return say(`${done}: ${JSON.stringify(inputResponses)}`)
  const inputRequests = Object.fromEntries(Object.entries(questions).map(([key, { request }]) => [key, request]))
  return inputRequired({ inputRequests, ...(state !== undefined && { requestState: await states.mint(state) }) })
}

/** Tools that need something of the client first, by the names that the suite calls them. */
export function registerQuestions(server: McpServer): void {
  const tool = (name: string, answer: (ctx: ServerContext) => Promise<Answer>) =>
    server.registerTool(name, { description: `Conformance: ${name.replaceAll('_', ' ')}` }, answer)
  const results = (name: string, answer: (ctx: ServerContext) => Promise<Answer>) =>
    tool(`test_input_required_result_${name}`, answer)
  const user_name = form('What is your name?', 'name')
  results('elicitation', (ctx) => ask(ctx, { user_name }, 'Hello'))
  results('sampling', (ctx) => ask(ctx, { capital_question: sample('What is the capital of France?') }, 'Capital'))
  results('list_roots', (ctx) => ask(ctx, { client_roots: roots }, 'Roots'))
  const confirm = form('Please confirm', 'ok', 'boolean')
  results('request_state', (ctx) => ask(ctx, { confirm }, 'state-ok', 'asked'))
  results('tampered_state', (ctx) => ask(ctx, { confirm }, 'state-ok', 'asked'))
  const three = { user_name, greeting: sample('Generate a greeting', 50), client_roots: roots }
  results('multiple_inputs', (ctx) => ask(ctx, three, 'All', 'asked'))
  results('multi_round', askTwice)
  results('capabilities', (ctx) => {
    const { elicitation, sampling } = capabilitiesOf(server)
    const offered = { ...(elicitation && { user_name }), ...(sampling && { greeting: three.greeting }) }
    return ask(ctx, offered, 'Asked what the client offers')
  })
  tool('test_missing_capability', (ctx) => ask(ctx, { sample: sample('Anything') }, 'The client offers sampling'))
  tool('test_streaming_elicitation', (ctx) => ask(ctx, { user_name }, 'Hello'))
  registerForms(server)
}

/** What the client offers: said in the request in the newer era, when the session began in the older one. */
function capabilitiesOf(server: McpServer) {
  return server.server.getClientCapabilities() ?? {}
}

async function askTwice(ctx: ServerContext): Promise<Answer> {
  const round = ctx.mcpReq.requestState<string>()
  if (round === 'first' || round === 'second') {
    const step2 = form('Step 2: What is your favorite color?', 'color')
    return ask(ctx, { step2 }, 'Both steps', 'second')
  }
  return ask(ctx, { step1: form('Step 1: What is your name?', 'name') }, 'One step', 'first')
}

/** Tools that were there before the newer era, and ask in the words of either. */
function registerForms(server: McpServer): void {
  const described = (name: string) => ({ description: `Conformance: ${name.replaceAll('_', ' ')}` })
  const prompt = { ...described('test_sampling'), inputSchema: z.object({ prompt: z.string() }) }
  server.registerTool('test_sampling', prompt, (args, ctx) => ask(ctx, { sample: sample(args.prompt) }, 'LLM response'))
  const message = { ...described('test_elicitation'), inputSchema: z.object({ message: z.string() }) }
  const property = (description: string) => ({ type: 'string' as const, description })
  server.registerTool('test_elicitation', message, (args, ctx) => {
    const properties = { username: property("User's response"), email: property("User's email address") }
    const requestedSchema = { type: 'object' as const, properties, required: ['username', 'email'] }
    const request = inputRequired.elicit({ message: args.message, requestedSchema })
    return askOnce(ctx, request, 'User response')
  })
  for (const [name, requestedSchema] of [
    ['test_elicitation_sep1034_defaults', defaultsSchema],
    ['test_elicitation_sep1330_enums', enumsSchema],
  ] as const)
    server.registerTool(name, described(name), (ctx) =>
      askOnce(ctx, inputRequired.elicit({ message: 'Please fill in', requestedSchema }), 'Elicitation completed'),
    )
}

function askOnce(ctx: ServerContext, request: InputRequests[string], done: string): Promise<Answer> {
  return ask(ctx, { form: { kind: 'elicit', request } }, done)
}
