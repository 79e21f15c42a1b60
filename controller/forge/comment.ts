import type { Preview } from './preview.ts'

/** What a comment is about. */
export interface Subject {
  /** `<instance>/<owner>/<name>`: two controllers keep a comment each. */
  readonly of: string
  readonly branch: string
  /** Commit of the pull request, and the one of the branch that it was merged with for a look. */
  readonly head: string
  readonly base: string
}

/** Forgejo takes more, people don't. Bytes. */
const most = 60_000
const mostOfBlock = 24_000

/** How a comment of ours begins: it is found again by that. */
export function markerOf(of: string): string {
  return `<!-- gateway-plan:${of.replace(/--|[<>]/g, '_')} -->`
}

/** The sticky comment of a pull request. Display only: nothing is ever read from it. Pure; the same for the same. */
export function planComment(subject: Subject, preview: Preview): string {
  const { head, base, branch } = subject
  const where = `${code(head.slice(0, 12))} merged into ${code(branch)} at ${code(base.slice(0, 12))}`
  const parts = preview.kind === 'invalid' ? invalidParts(where, preview) : validParts(where, preview)
  return bounded([markerOf(subject.of), ...parts].join('\n\n'))
}

/** What stands there until the new plan is ready: the old one, and that it is old. */
export function staleComment(comment: string, head: string): string {
  const [marker = '', ...rest] = comment.split('\n\n')
  const note = `**Out of date**: the pull request is at ${code(head.slice(0, 12))} now, and its plan is being made.`
  return bounded([marker, note, ...rest.filter((part) => !part.startsWith('**Out of date**'))].join('\n\n'))
}

function invalidParts(where: string, { errors }: Extract<Preview, { kind: 'invalid' }>): readonly string[] {
  return [`**Invalid**: ${where} would not be deployed.`, ...block(`What to put right (${errors.length})`, errors)]
}

function validParts(where: string, preview: Extract<Preview, { kind: 'valid' }>): readonly string[] {
  const { gains, losses, held } = preview
  const waits = held.length === 0 ? 'would be deployed' : 'would be deployed, but for what is held'
  const access = [...gains.map((text) => `+ ${text}`), ...losses.map((text) => `- ${text}`)]
  return [
    `**Valid**: ${where} ${waits}.`,
    ...block('⚠ Escalation: needs a close look', preview.escalations, '! '),
    ...(access.length === 0 ? ['Nobody gains or loses access.'] : block('Who gains and loses what', access)),
    ...block('Loosens the defaults', preview.loosens, '! '),
    ...block('Servers removed', preview.removed, '- '),
    ...block('Held once merged, until approved', held, '! '),
    ...(preview.isSigned ? [mergeAsItIs] : []),
    ...block('This machine lacks', preview.lacks),
    ...block('Warnings', preview.warnings),
    ...block(preview.later === undefined ? 'Plan' : 'Plan, at once', preview.plan),
    ...block('Plan, once all of it is approved', preview.later ?? []),
  ]
}

const mergeAsItIs =
  'Commits must be signed here: merge these as they are, fast-forward or by a merge commit. A squash or a rebase makes others of them, which nobody of the signers has signed.'

/** All that a stranger may have written stands in code: no mention, no reference, no markup is made of it. */
function block(title: string, lines: readonly string[], sign = ''): readonly string[] {
  if (lines.length === 0) return []
  const text = cut(
    lines.map((line) => `${sign}${plain(line)}`),
    mostOfBlock,
  )
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1))
  return [`**${title}**`, `${fence}diff\n${text}\n${fence}`]
}

function code(text: string): string {
  const inside = plain(text)
  const fence = '`'.repeat(longestRun(inside) + 1)
  return fence.length === 1 ? `\`${inside}\`` : `${fence} ${inside} ${fence}`
}

/** One line, with what cannot be seen, or turns the direction of writing, made visible. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\t' ? ' ' : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
}

function cut(lines: readonly string[], bytes: number): string {
  let left = bytes
  const kept = lines.filter((line) => {
    left -= Buffer.byteLength(line) + 1
    return left >= 0
  })
  const rest = lines.length - kept.length
  return [...kept, ...(rest === 0 ? [] : [`… and ${rest} more`])].join('\n')
}

/** Whole parts only: half a fence would open what it closes. */
function bounded(text: string): string {
  const parts = text.split('\n\n')
  while (Buffer.byteLength(parts.join('\n\n')) > most - 100 && parts.length > 2) parts.pop()
  const whole = parts.join('\n\n')
  return whole === text ? text : `${whole}\n\nMore does not fit here: \`gateway plan\` shows all of it.`
}
