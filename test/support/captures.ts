import { readdirSync, readFileSync } from 'node:fs'
import { z } from 'zod'

/** What a real Forgejo sent and answered; suites that read it need `shared-data`. */
export const captures = new URL('../../../shared/data/forgejo/', import.meta.url)

const Captured = z.object({ headers: z.record(z.string(), z.string()) })

/** Names of the captured deliveries. */
export function captured(): readonly string[] {
  return readdirSync(captures).filter((name) => /^webhook-.*(?<!headers)\.(json|form\.txt)$/.test(name))
}

/** The secret that they are signed with. */
export function captureSecret(): string {
  return /secret `([^`]+)`/.exec(readFileSync(new URL('INDEX.md', captures), 'utf8'))?.[1] ?? ''
}

/** A delivery, byte for byte, with the headers that are not its connection's. */
export function readCapture(name: string): {
  readonly headers: Record<string, string>
  readonly body: Buffer<ArrayBuffer>
} {
  const file = new URL(name.replace(/\.(json|form\.txt)$/, '.headers.json'), captures)
  const { headers } = Captured.parse(JSON.parse(readFileSync(file, 'utf8')))
  const { Host: _host, 'Content-Length': _length, ...sent } = headers
  return { headers: sent, body: Buffer.from(readFileSync(new URL(name, captures))) }
}

/** What the API answered, by its name without `api-`. */
export function readAnswer(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`api-${name}.json`, captures), 'utf8'))
}
