import { matches } from '#manifests/glob.ts'
import type { ServerStatus } from '#manifests/status.ts'
import type { Grant } from '#manifests/table.ts'
import { suggestion } from './compile/nearest.ts'
import { Refused } from './controller.ts'
import type { Agent } from './desired.ts'
import type { Fact, Records } from './records.ts'
import { describeDrift } from './tool-drift.ts'

interface Question {
  readonly name: string
  readonly agent: Agent
  readonly records: Records
}

/** What an agent may call and which line gives it; with a tool (`tool`, `prefix__tool` or `server/tool`): whether it may. Pure. */
export function agentFacts(question: Question, tool: string | undefined): readonly Fact[] {
  const { agent, records, name } = question
  const gone = isOver(agent) ? ' and is over: every call is refused' : ''
  const about = [
    { what: 'written in', is: records.grantsFile },
    { what: 'expires', is: agent.expires === undefined ? 'never' : `after ${agent.expires} (UTC)${gone}` },
    ...(agent.owner ? [{ what: 'owner', is: 'is told when something breaks' }] : []),
  ]
  if (tool !== undefined) return [...about, ...toolFacts(question, tool)]
  const grants = Object.entries(agent.grants).map(([server, grant]) => ({
    what: server,
    is: `${words(grant)}, by ${lineOf(server, agent)}${standingOf(server, question)}`,
  }))
  return [...about, ...(grants.length === 0 ? [{ what: 'grants', is: `none: ${name} may call nothing` }] : grants)]
}

function isOver({ expires }: Agent): boolean {
  return expires !== undefined && expires < new Date().toISOString().slice(0, 10)
}

function lineOf(server: string, { grants, through }: Agent): string {
  if (through.includes(server)) return 'servers: ["*"]'
  const grant = grants[server]
  return grant === undefined || isWhole(grant) ? `servers: [${server}]` : `servers: [${server}: …]`
}

function isWhole({ tools, prompts, resources }: Grant): boolean {
  return [tools, prompts, resources].every((globs) => globs.includes('*'))
}

function words(grant: Grant): string {
  if (isWhole(grant)) return 'everything'
  const { tools, prompts, resources } = grant
  const named = Object.entries({ tools, prompts, resources }).flatMap(([kind, globs]) =>
    globs.length === 0 ? [] : [`${kind} ${globs.join(' ')}`],
  )
  return named.join('; ') || 'nothing of it'
}

/** A grant is published once its server is ready. */
function standingOf(server: string, { name, records }: Question): string {
  const { standing, servers } = records
  const state = servers.find((one) => one.name === server)
  if (standing.table?.agents[name]?.grants[server] === undefined)
    return `; not yet: ${state === undefined ? 'the server is not there' : `${server} is ${state.phase}: ${state.reason}`}`
  return state === undefined || state.phase === 'ready' ? '' : `; ${server} is ${state.phase}: ${state.reason}`
}

interface Place {
  readonly server: string
  readonly tool: string
  /** Whether the server was heard to have it; undefined while nobody knows its tools. */
  readonly exists: boolean | undefined
}

function toolFacts(question: Question, asked: string): readonly Fact[] {
  const all = question.records.servers.map((server) => placeOf(server, question, asked))
  const places = all.flatMap((place) => (place === undefined ? [] : [place]))
  const sure = places.filter(({ exists }) => exists === true)
  const found = sure.length > 0 ? sure : places.filter(({ exists }) => exists === undefined)
  if (found.length > 0)
    return found.map((place) => ({ what: `${place.server}/${place.tool}`, is: verdict(place, question) }))
  const tools = question.records.servers.flatMap((server) => server.tools ?? [])
  const bare = asked.replace(/^.*(?:\/|__)/s, '')
  throw new Refused(
    `no server has a tool "${asked}"${suggestion(bare, tools) || `; there are: ${tools.join(', ') || 'none known'}`}`,
  )
}

/** How a server would have to be meant: by its name, by its prefix, or by the tool alone. */
function placeOf({ name, tools }: ServerStatus, { records }: Question, asked: string): Place | undefined {
  const { prefix = name } = records.standing.table?.servers[name] ?? {}
  const marks = [`${name}/`, ...(prefix === '' ? [] : [`${prefix}__`])]
  const mark = marks.find((one) => asked.startsWith(one))
  const tool = asked.slice(mark?.length ?? 0)
  if (mark === undefined && tools === undefined) return undefined
  const exists = tools?.includes(tool)
  return exists === false && mark === undefined
    ? undefined
    : { server: name, tool, exists: mark === undefined ? exists : (exists ?? undefined) }
}

function verdict({ server, tool, exists }: Place, question: Question): string {
  const { agent, name } = question
  const grant = agent.grants[server]
  if (grant === undefined) return `refused: ${name} has no grant for ${server}, and is not told that it exists`
  const pattern = grant.tools.find((glob) => matches(glob, tool))
  if (pattern === undefined)
    return `refused: no pattern matches (${grant.tools.join(' ') || 'no tools'}, by ${lineOf(server, agent)})`
  const drift = question.records.servers.find((one) => one.name === server)?.drift?.find((one) => one.tool === tool)
  if (drift?.treated === 'blocked' && drift.change !== 'gone') return `refused: ${describeDrift(drift)}`
  if (isOver(agent)) return `refused: the token of ${name} is over since ${agent.expires}`
  const unknown = exists === true ? '' : `; whether ${server} has it is not known`
  return `may be called: "${pattern}", by ${lineOf(server, agent)}${standingOf(server, question)}${unknown}`
}
