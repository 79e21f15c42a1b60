import { mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fileChanges, openMachine } from '../../controller/machine.ts'
import { until } from '../support/until.ts'

let state: string
let file: string
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'machine-'))
  file = join(state, '.env')
})
afterEach(() => rm(state, { recursive: true }))

const open = () => openMachine({ instance: 'gateway', secrets: file, mounts: { personal: '/srv/personal' }, state })

test('reads the secrets anew each time', async () => {
  const machine = await open()
  expect((await machine()).secrets).toEqual(new Map())
  await writeFile(file, 'A=1\n')
  expect(await machine()).toMatchObject({
    secrets: new Map([['A', '1']]),
    mounts: new Map([['personal', '/srv/personal']]),
    secretsFile: file,
  })
})

test('says why the secrets cannot be read, without a value, and reads them once they can be', async () => {
  const machine = await open()
  await writeFile(file, 'A="unclosed value\n')
  const { secrets, secretsFault } = await machine()
  expect(secrets.size).toBe(0)
  expect(secretsFault).toContain(`${file}:1`)
  expect(secretsFault).not.toContain('unclosed value')
  await writeFile(file, 'A=1\n')
  expect(await machine()).not.toHaveProperty('secretsFault')
})

describe('a secrets file that is being written', () => {
  const value = 'a value of many letters'
  const written = async (text: string, ms: number) => {
    await writeFile(file, text)
    await utimes(file, new Date(), new Date(Date.now() - ms))
  }

  test.each(['', `A='${value.slice(0, 4)}'\n`, `A='${value.slice(0, 4)}`])(
    'is what it was until it is left alone: %j',
    async (half) => {
      await written(`A='${value}'\n`, 60_000)
      const machine = await open()
      expect((await machine()).secrets.get('A')).toBe(value)
      await written(half, 0)
      expect(await machine()).toMatchObject({ secrets: new Map([['A', value]]) })
      await written(`A='new ${value}'\n`, 0)
      expect((await machine()).secrets.get('A')).toBe(value)
      await until('it is read', async () => (await machine()).secrets.get('A') === `new ${value}`)
    },
  )

  test('is what it was, with the reason, while it is gone or broken', async () => {
    await written(`A='${value}'\n`, 60_000)
    const machine = await open()
    await machine()
    await rm(file)
    const secrets = new Map([['A', value]])
    const secretsFault = `${file}: is no longer there; what runs goes on with what it was given`
    expect(await machine()).toMatchObject({ secrets, secretsFault })
    await written(`A='${value}`, 60_000)
    expect(await machine()).toMatchObject({ secrets, secretsFault: `${file}:1: the quote of A is never closed` })
    await written('B=2\n', 60_000)
    expect(await machine()).not.toHaveProperty('secretsFault')
    expect((await machine()).secrets).toEqual(new Map([['B', '2']]))
  })

  test('is believed at once where its clock is ahead, or a whole older one was put in its place', async () => {
    await written('A=one\n', 60_000)
    const machine = await open()
    await machine()
    await written('A=three\n', -60_000)
    expect((await machine()).secrets.get('A')).toBe('three')
    await writeFile(`${file}.new`, 'A=four\n')
    await utimes(`${file}.new`, new Date(), new Date(Date.now() - 5_000))
    await rename(`${file}.new`, file)
    expect((await machine()).secrets.get('A')).toBe('four')
  })
})

test('seals alike after a restart, and otherwise on another machine', async () => {
  const sealed = (await (await open())()).seal({ A: '1' })
  expect((await (await open())()).seal({ A: '1' })).toBe(sealed)
  await rm(join(state, 'secrets.key'))
  expect((await (await open())()).seal({ A: '1' })).not.toBe(sealed)
})

test('tells when the secrets file comes, is replaced, or goes, and ends with its signal', {
  timeout: 60_000,
}, async () => {
  const stopping = new AbortController()
  let changes = 0
  const following = (async () => {
    for await (const _ of fileChanges([file], stopping.signal)) changes++
  })()
  const tells = (what: string, act: (time: number) => Promise<void>) => {
    const before = changes
    return until(what, async () => {
      await act(Date.now())
      return changes > before
    })
  }
  await tells('it comes', (time) => writeFile(file, `A=${time}\n`))
  await tells('it is replaced', async (time) => {
    await writeFile(`${file}.new`, `B=${time}\n`)
    await rename(`${file}.new`, file)
  })
  const told = changes
  await until('it tells once more when it is left alone', () => changes > told)
  await tells('it goes', () => rm(file, { force: true }))
  stopping.abort()
  await following
})
