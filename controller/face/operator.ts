import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether an Authorization header carries `token`, as Bearer or as the password of Basic, whatever the user name. */
export function isOperator(header: string | undefined, token: string): boolean {
  const given = credentialOf(header)
  return given !== undefined && timingSafeEqual(digest(given), digest(token))
}

function credentialOf(header: string | undefined): string | undefined {
  const [, scheme, value] = header?.match(/^(bearer|basic) +(\S+)$/i) ?? []
  if (scheme === undefined || value === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return value
  const pair = Buffer.from(value, 'base64').toString('utf8')
  return pair.slice(pair.indexOf(':') + 1)
}

/** Equal lengths, so that a comparison tells nothing about the token's. */
function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}
