import type { PullStatus } from '#manifests/status.ts'
import { type Html, html } from './html.ts'
import { framed, lines, short } from './page.ts'

/** What merging a pull request would do, for people. */
export function renderPull(pull: PullStatus): string {
  const { number, head, base, phase, access } = pull
  const part = (title: string, texts: readonly string[] = []): Html | undefined =>
    texts.length === 0 ? undefined : html`<h2>${title}</h2>${lines(texts)}`
  const main = html`<h1>Pull request ${number}</h1>
<p><strong class="${phase === 'valid' ? 'good' : 'bad'}">${phase}</strong> ${short(head)} merged into the branch at ${short(base)}</p>
${part('What to put right', pull.errors)}
${part('Escalation', access?.escalations)}
${part('Who gains what', access?.gains)}
${part('Who loses what', access?.losses)}
${part('Loosens the defaults', access?.loosens)}
${part('Held once merged, until approved', pull.held)}
${part('This machine lacks', access?.lacks)}
${part('Warnings', pull.warnings)}
${part(pull.later === undefined ? 'Plan' : 'Plan, at once', pull.plan)}
${part('Plan, once all of it is approved', pull.later)}`
  const footer = html`<a href="/">the gateway</a>`
  return framed({ title: `Pull request ${number}: ${phase}`, seconds: 30, main, footer })
}
