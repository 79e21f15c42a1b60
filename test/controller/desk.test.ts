import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { CommitStatus } from '#manifests/status.ts'
import { createBell } from '../../controller/bell.ts'
import { openDesk } from '../../controller/forge/desk.ts'
import { openJournal } from '../../controller/journal/journal.ts'
import { createMeters } from '../../controller/meters.ts'
import { createWire } from '../../controller/wire.ts'
import { commitStatus } from '../support/controller.ts'
import { until } from '../support/until.ts'

const [older, newer] = ['a1'.repeat(20), 'b2'.repeat(20)]

test('tells of a commit although the outbox could not be read for the one before', async () => {
  await using end = new AsyncDisposableStack()
  const state = await mkdtemp(join(tmpdir(), 'gateway-desk-'))
  end.defer(() => rm(state, { recursive: true, force: true }))
  const journal = end.use(openJournal(state))
  const sent: string[] = []
  const outbox = {
    employ: () => {},
    send: (_: string, key: string) => void sent.push(key),
    lastSent(): undefined {
      throw new Error('disk I/O error')
    },
    delivery: () => ({ waiting: 0, trouble: undefined }),
    [Symbol.asyncDispose]: async () => {},
  }
  const news = createWire<CommitStatus>()
  const desk = openDesk(
    {
      forge: { url: 'http://127.0.0.1:9', token: 'none', repository: 'a/b' },
      source: { repo: '/nowhere', branch: 'main', path: '', state },
      status: { listen: { host: '127.0.0.1', port: 0 } },
      webhookSecrets: [],
      inherited: {},
    },
    {
      ...{ journal, outbox, log: pino({ level: 'silent' }) },
      rounds: { bell: createBell(), news, meters: createMeters() },
    },
  )
  end.use(desk)
  news.say(older, commitStatus(older, { phase: 'superseded' }))
  news.say(newer, commitStatus(newer))
  await until('the newer one is told', () => sent.includes(`${newer} gateway/deploy`))
  expect(sent.filter((key) => key.startsWith(older))).toEqual([])
})
