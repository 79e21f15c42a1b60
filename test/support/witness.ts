import { baseImage } from './machine.ts'

/**
 * Files of a server that tells over HTTP what it was given and does what it is asked: `/env`, `/write?in=<variable>&text=`,
 * `/read?in=<variable>`, `/exit?code=`, `/kill`. With STUBBORN in its environment it stays on SIGTERM.
 */
export const witness = {
  Dockerfile: `FROM ${baseImage}\nWORKDIR /srv\nCOPY . .\nCMD ["node", "main.mjs"]\n`,
  'main.mjs': `
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

function attempt(act) {
  try {
    return act()
  } catch (error) {
    return error.code
  }
}

const server = createServer((request, answer) => {
  const url = new URL(request.url, 'http://witness')
  const note = () => join(process.env[url.searchParams.get('in')], 'note')
  if (url.pathname === '/env') answer.end(JSON.stringify(process.env))
  else if (url.pathname === '/write')
    answer.end(attempt(() => (writeFileSync(note(), url.searchParams.get('text')), 'written')))
  else if (url.pathname === '/read') answer.end(attempt(() => readFileSync(note(), 'utf8')))
  else if (url.pathname === '/exit') answer.end('leaving', () => process.exit(Number(url.searchParams.get('code'))))
  else if (url.pathname === '/kill') answer.end('dying', () => process.kill(process.pid, 'SIGKILL'))
  else answer.end('here')
})
server.listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'))

process.on('SIGTERM', () => {
  console.log('SIGTERM seen')
  if (process.env.STUBBORN === undefined) process.exit(0)
})
`,
}

/** A build that fails on every host: in the engine's own step, or because npm cannot read it. Its tail has `is not JSON`. */
export const brokenSource = {
  Dockerfile: `FROM ${baseImage}\nCOPY package.json .\nRUN cat package.json && exit 3\n`,
  'package.json': 'this is not JSON',
  'package-lock.json': '{}',
}
