import { existsSync, readFileSync, rmSync } from 'node:fs'
import { StatementSync } from 'node:sqlite'
import { pino } from 'pino'
import { readConfig } from '../../controller/config/config.ts'
import type { Host } from '../../controller/host.ts'
import { openConfiguredHost } from '../../controller/open-host.ts'
import { runController } from '../../controller/run.ts'
import { verdictOf } from './controller-process.ts'

/**
 * A program: a controller that is killed, as a power cut would, after so many boundaries: each verb that changes the host, each
 * table that is published, each commit that is remembered. A file in its state says after how many from then on; without one it lives.
 */
const config = readConfig(process.env)
let left = 0
const verbs = ['build', 'start', 'resume', 'stop', 'remove', 'forget'] as const
const writes = /\b(table_now|commits|accepted|moves|pins)\b/

function boundary(name: string): void {
  process.stdout.write(`boundary ${name}\n`)
  const verdict = verdictOf(config.state)
  if (existsSync(verdict)) {
    left = Number(readFileSync(verdict, 'utf8'))
    rmSync(verdict)
  }
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

const { run } = StatementSync.prototype
Object.defineProperty(StatementSync.prototype, 'run', {
  value: function (this: StatementSync, ...values: Parameters<typeof run>) {
    const done = Reflect.apply(run, this, values)
    const what = /^(insert|update|delete)/.test(this.sourceSQL) && writes.exec(this.sourceSQL)?.[1]
    if (what) boundary(what)
    return done
  },
})

function mortal(host: Host): Host {
  for (const verb of verbs) {
    const act = host[verb].bind(host)
    Object.defineProperty(host, verb, {
      value: async (...values: unknown[]) => {
        const done: unknown = await Reflect.apply(act, host, values)
        boundary(verb)
        return done
      },
    })
  }
  return host
}

const log = pino({ level: config.logLevel })
const folder = new URL('../..', import.meta.url).pathname
await runController(config, {
  version: '0',
  log,
  signal: new AbortController().signal,
  openHost: async (signal) => mortal(await openConfiguredHost(config, { folder, log }, signal)),
})
