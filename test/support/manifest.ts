import { createHash } from 'node:crypto'
import type { TreeFile } from './tree.ts'

type Files = Readonly<Record<string, TreeFile>>

/** A well-formed token hash, another one for each word. */
export function tokenHash(word: string): string {
  return `sha256:${createHash('sha256').update(`${word} of a test`).digest('hex')}`
}

/** A commit of `permissions.yaml` alone, or with more. */
export function permissions(text: string | Buffer, more: Files = {}): Files {
  return { 'manifests/permissions.yaml': text, ...more }
}

/** One agent with what it may use, as YAML flow: `["*"]`. */
export function agent(servers: string, more = ''): string {
  return `agents:\n  agent-a:\n    token_hash: "${tokenHash('a')}"\n    servers: ${servers}\n${more}`
}

/** A commit of one server, `wiki`, whose file has this text and whose build context has a Dockerfile, and one agent with `*`. */
export function wiki(text: TreeFile, more: Files = {}): Files {
  return {
    'manifests/permissions.yaml': agent('["*"]'),
    'manifests/servers/wiki.yaml': text,
    'servers/wiki/Dockerfile': 'FROM scratch\n',
    'servers/wiki/main.ts': '// answers\n',
    ...more,
  }
}
