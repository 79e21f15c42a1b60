import { createHash } from 'node:crypto'
import type { CommitStatus, ServerStatus, Status } from '#manifests/status.ts'
import { describeBudgets } from '../budget.ts'
import { describeClash } from '../clash.ts'
import { concernsOf } from '../concerns.ts'
import { describeDrift } from '../tool-drift.ts'
import { Html, html } from './html.ts'

const style = `
:root { color-scheme: light dark; --line: light-dark(#d5d5d5, #444); --soft: light-dark(#5c5c5c, #a8a8a8) }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600 } thead th, .soft { color: var(--soft) } td, p { overflow-wrap: anywhere }
code, pre { font: .875rem/1.5 ui-monospace, monospace } pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .8rem; border: 1px solid var(--line) } time { white-space: nowrap }
.good { color: light-dark(#14682f, #6fd58f) } .busy { color: light-dark(#7a5200, #f0c060) } .bad { color: light-dark(#a31515, #ff8f85) }
`

export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** What stands around every page, which reloads itself after so many seconds. */
export interface Frame {
  readonly title: string
  readonly seconds: number
  readonly main: Html
  readonly footer: Html
}

export function framed({ title, seconds, main, footer }: Frame): string {
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${seconds}">
<title>${title}</title>
<style>${new Html(style)}</style>
<main>
${main}
</main>
<footer class="soft"><p>${footer}</p></footer>
</html>
`.text
}

/** The status page. It reloads itself, soon while something is on its way; what waits does so for people. */
export function renderPage(status: Status, login: boolean): string {
  const main = html`<h1>${status.instance}</h1>
<p>${status.repository}, branch <code>${status.branch}</code></p>
${concernsOf(status).map(
  ({ what, is, isBad }) => html`<p${isBad ? html` class="bad"` : undefined}>The ${what}: ${is}</p>
`,
)}
${renderCommit(status)}
${renderServers(status.servers)}
${renderProxies(status)}
${status.access === undefined ? undefined : renderAccess(status.access)}`
  const own = login && status.access === undefined ? html` · <a href="/?operator">the operator's view</a>` : undefined
  const footer = html`Commons Gateway ${status.version} · <a href="/status">as JSON</a>${own}`
  return framed({ title: titleOf(status), seconds: isSettled(status) ? 30 : 3, main, footer })
}

function isSettled({ attempted, servers }: Status): boolean {
  const busy = servers.some(({ phase }) => phase === 'deploying')
  return !busy && attempted !== undefined && colourOf(attempted.phase) !== 'busy'
}

function titleOf({ instance, servers }: Status): string {
  const ready = servers.filter(({ phase }) => phase === 'ready').length
  return `${instance}: ${ready} of ${servers.length} ready`
}

function renderCommit({ attempted, applied }: Status): Html {
  if (attempted === undefined)
    return html`<h2>Commit</h2>
<p>No commit was seen yet.</p>`
  const other = applied !== undefined && applied !== attempted.commit
  return html`<h2>Commit ${short(attempted.commit)}</h2>
<p>${phase(attempted.phase)} ${attempted.reason} <span class="soft">${time(attempted.since)}</span></p>
${lines(attempted.errors)}
${lines(attempted.plan)}
${lines((attempted.held ?? []).map(({ plan, what, because }) => `held ${plan}: ${what} (${because})`))}
${lines((attempted.approved ?? []).map((part) => `approved ${part}`))}
${lines((attempted.repaired ?? []).map((part) => `put right ${part}`))}
${lines((attempted.warnings ?? []).map((warning) => `warning: ${warning}`))}
${other ? html`<p>Applied last: ${short(applied)}</p>` : undefined}`
}

export function lines(texts: readonly string[]): Html | undefined {
  return texts.length === 0 ? undefined : html`<pre>${texts.join('\n')}</pre>`
}

function renderServers(servers: readonly ServerStatus[]): Html {
  if (servers.length === 0)
    return html`<h2>Servers</h2>
<p>None.</p>`
  return html`<h2>Servers</h2>
<table>
<thead><tr><th scope="col">Server<th scope="col">State</thead>
<tbody>
${servers.map(renderServer)}</tbody>
</table>`
}

function renderServer(server: ServerStatus): Html {
  const { name, reason, description, tools = [], log } = server
  const about = [description, ...(tools.length === 0 ? [] : [`tools: ${tools.join(', ')}`])]
  return html`<tr><th scope="row">${name}<td>${phase(server.phase)} ${reason}${about.map((line) => html`<br><span class="soft">${line}</span>`)}${describeBudgets(server).map((line) => html`<br>budget ${line}`)}
${renderTools(server)}${log === undefined ? undefined : html`<tr><td colspan="2"><pre>${log}</pre>`}
`
}

/** What differs from what was reviewed, what tools say that they should not, and what cannot be reached. */
function renderTools({ drift = [], suspicions = [], clashes = [] }: ServerStatus): Html | undefined {
  const told = drift.flatMap((tool) => [
    describeDrift(tool),
    ...(tool.differs ?? []).flatMap(({ part, old, new: now }) =>
      old === undefined && now === undefined ? [] : [`- ${part}: ${old ?? ''}`, `+ ${part}: ${now ?? ''}`],
    ),
  ])
  const said = [
    ...told,
    ...suspicions.map(({ tool, at, what }) => `${tool} ${at}: ${what}`),
    ...clashes.map(describeClash),
  ]
  return said.length === 0
    ? undefined
    : html`<tr><td colspan="2"><span class="bad">Tools that need a look</span><pre>${said.join('\n')}</pre>
`
}

function renderProxies({ proxies, revision }: Status): Html {
  if (proxies.length === 0)
    return html`<h2>Proxies</h2>
<p>None.</p>`
  const rows = proxies.map(
    ({ name, have, live, reason }) =>
      html`<tr><th scope="row">${name}<td>${live ? html`<span class="good">live</span>` : html`<span class="bad">not live</span>`} ${reason}<td>${have}
`,
  )
  return html`<h2>Proxies</h2>
<p>The table's revision is ${revision}.</p>
<table>
<thead><tr><th scope="col">Proxy<th scope="col">State<th scope="col">Has revision</thead>
<tbody>
${rows}</tbody>
</table>`
}

function renderAccess(access: NonNullable<Status['access']>): Html {
  const rows = Object.entries(access).map(
    ([agent, servers]) => html`<tr><th scope="row">${agent}<td>${Object.entries(servers).map(
      ([server, tools]) => html`${server}: ${tools.join(', ')}<br>`,
    )}
`,
  )
  return html`<h2>Access</h2>
<table>
<thead><tr><th scope="col">Agent<th scope="col">May use</thead>
<tbody>
${rows}</tbody>
</table>`
}

type Phase = CommitStatus['phase'] | ServerStatus['phase']

function phase(name: Phase): Html {
  return html`<strong class="${colourOf(name)}">${name}</strong>`
}

function colourOf(name: Phase): 'good' | 'busy' | 'bad' {
  switch (name) {
    case 'ready':
    case 'applied':
    case 'superseded':
    case 'removed':
      return 'good'
    case 'seen':
    case 'verified':
    case 'planned':
    case 'applying':
    case 'deploying':
    case 'waiting':
      return 'busy'
    case 'degraded':
    case 'rejected':
    case 'held':
    case 'stalled':
    case 'suspended':
      return 'bad'
    default:
      return name satisfies never
  }
}

export function short(commit: string): Html {
  return html`<code title="${commit}">${commit.slice(0, 12)}</code>`
}

function time(iso: string): Html {
  return html`<time datetime="${iso}">${iso.replace('T', ' ').replace(/\..*/, ' UTC')}</time>`
}
