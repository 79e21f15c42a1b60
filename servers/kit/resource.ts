import { type McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server'

/** Files that a server offers as resources. */
export interface Shelf {
  readonly name: string
  readonly title: string
  readonly description: string
  /** What their addresses look like (RFC 6570), such as `books://{shelf}/{number}`. */
  readonly template: string
  readonly list: () => readonly Listed[]
  /** The file of an address that fits the template; undefined where there is none. */
  readonly read: (uri: string) => Promise<Content | undefined>
}

export interface Listed {
  readonly uri: string
  readonly name: string
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
}

export interface Content {
  readonly mimeType: string
  readonly bytes: Buffer
}

/** Registers them all, under one template. */
export function addShelf(server: McpServer, { name, title, description, template, list, read }: Shelf): void {
  const place = new ResourceTemplate(template, { list: () => ({ resources: list().map((one) => ({ ...one })) }) })
  server.registerResource(name, place, { title, description }, async ({ href: uri }) => {
    const content = await read(uri)
    if (content === undefined) throw new ResourceNotFoundError(uri)
    return { contents: [{ uri, mimeType: content.mimeType, blob: content.bytes.toString('base64') }] }
  })
}
