import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Programs of others to compare with: by npm package, its version and its program. They are no dependencies: a bench installs them once. */
const peers = {
  'mcp-mermaid': { version: '0.4.1', program: 'build/index.js' },
  'mcp-proxy': { version: '6.7.19', program: 'dist/bin/mcp-proxy.mjs' },
  supergateway: { version: '4.0.0', program: 'dist/index.js' },
} as const
export type Peers = typeof peers

/** Path of a peer's program, which is installed into a folder for temporary files where it is not there yet. */
export async function peerProgram(name: keyof Peers): Promise<string> {
  const { version, program } = peers[name]
  const folder = join(tmpdir(), 'bench-peers', `${name}-${version}`)
  const path = join(folder, 'node_modules', name, program)
  if (existsSync(path)) return path
  await mkdir(folder, { recursive: true })
  const flags = ['--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--no-package-lock']
  await promisify(execFile)('npm', ['install', ...flags, `${name}@${version}`])
  return path
}
