import { found, judged, quote, text } from './text.ts'

/** A path on a server's own HTTP port. Nothing in it can lead to another host. */
export const HttpPath = text(
  /^\/(?!\/)(?!(?:.*\/)?\.\.?(?:[/?]|$))[A-Za-z0-9._~%/=&?+,;:-]{0,255}$/,
  'a path on the server such as /mcp, without a host',
)

const allowedUrl = 'expected a URL such as http://wiki.lan:3000/mcp'

/** A URL may carry a credential, so what was found is repeated only where that is safe. */
function wrongUrl(value: string): string | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined) return `${allowedUrl}, found ${value.includes('@') ? 'something else' : quote(value)}`
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${allowedUrl}, found one of scheme ${quote(url.protocol)}`
  if (url.username !== '' || url.password !== '') return 'a credential does not belong in a URL that everybody can read'
  if (url.hash !== '') return 'expected a URL without a #fragment'
  // The URL parser drops tabs and line breaks and turns \ into /: what is meant would differ from what is read.
  if (/[\s\\]/.test(value)) return `${allowedUrl}, found ${quote(value)}`
}

/** Where a server answers that runs elsewhere. */
export const OutsideUrl = judged(wrongUrl).meta({ format: 'uri' })

const imageForm =
  /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?$/

function wrongImage(value: string): string | undefined {
  const at = value.indexOf('@')
  const name = at < 0 ? value : value.slice(0, at)
  if (!imageForm.test(name)) return `expected an image such as ghcr.io/x/y@sha256:…, found ${quote(value)}`
  if (at < 0)
    return `${quote(value)} has no digest, so it could change by itself: write ${name}@sha256:…, which "docker buildx imagetools inspect ${name}" prints`
  const digest = value.slice(at + 1)
  if (/^sha256:[0-9a-f]+$/.test(digest) && digest.length !== 71)
    return `expected a digest of 64 hex digits after ${quote(name)}, found ${digest.length - 7}`
  if (!/^sha256:[0-9a-f]{64}$/.test(digest))
    return `expected a digest of sha256: and 64 lower-case hex digits after ${quote(name)}, found ${found(digest)}`
}

/** An image, by its digest. */
export const ImageRef = judged(wrongImage).meta({ pattern: '@sha256:[0-9a-f]{64}$' })
