import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openAdmin } from '../../controller/face/admin.ts'
import { adminSocket } from '../../controller/face/admin-socket.ts'
import { commitStatus, createMemoryController, serverStatus } from '../support/controller.ts'

let state: string
let closing: (() => Promise<unknown>)[]
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'admin-'))
  closing = [() => rm(state, { recursive: true })]
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
})

async function open() {
  const controller = createMemoryController()
  const admin = await openAdmin(controller, state)
  closing.push(() => admin.close())
  const dispatcher = new Agent({ connect: { socketPath: adminSocket(state) } })
  closing.push(() => dispatcher.destroy())
  const ask = async (method: 'GET' | 'POST', path: string) => {
    const { statusCode, body } = await request(`http://admin${path}`, { method, dispatcher })
    return { code: statusCode, json: await body.json() }
  }
  return { controller, admin, ask }
}

test('is for the owner and the group of the state only', async () => {
  await open()
  expect((await stat(adminSocket(state))).mode & 0o777).toBe(0o660)
})

test('tells everything without a credential', async () => {
  const { controller, ask } = await open()
  controller.servers.push(serverStatus('wiki', { log: 'it failed' }))
  expect(await ask('GET', '/status')).toMatchObject({
    code: 200,
    json: { access: {}, servers: [{ log: 'it failed' }] },
  })
})

test('asks for a pass and waits for its outcome', async () => {
  const { controller, ask } = await open()
  controller.commits.push(commitStatus('c'.repeat(40), { phase: 'applying' }))
  const answer = ask('POST', '/reconcile')
  await expect.poll(() => controller.pokes).toBe(1)
  controller.commits[0] = commitStatus('c'.repeat(40))
  controller.announce()
  expect(await answer).toMatchObject({ code: 200, json: { phase: 'applied' } })
})

test('asks for a pass without waiting', async () => {
  const { controller, ask } = await open()
  expect(await ask('POST', '/reconcile?wait=0')).toMatchObject({ code: 202 })
  expect(controller.pokes).toBe(1)
})

test('says so when the outcome takes longer than asked', async () => {
  const { ask } = await open()
  expect((await ask('POST', '/reconcile?wait=0.05')).code).toBe(504)
})

test('takes everything down, volumes only if asked', async () => {
  const { controller, ask } = await open()
  expect((await ask('POST', '/down')).code).toBe(200)
  expect((await ask('POST', '/down?volumes=true')).code).toBe(200)
  expect((await ask('POST', '/down?volumes=perhaps')).code).toBe(400)
  expect(controller.downs).toEqual([{ volumes: false }, { volumes: true }])
})

test('changes nothing for a GET', async () => {
  const { controller, ask } = await open()
  expect((await ask('GET', '/down')).code).toBe(405)
  expect(controller.downs).toEqual([])
})

test('takes the place of a socket that a dead controller left', async () => {
  const listen = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', listen, adminSocket(state)])
  expect(existsSync(adminSocket(state))).toBe(true)
  const { ask } = await open()
  expect((await ask('GET', '/healthz')).code).toBe(200)
})

test('leaves the socket of a living controller alone', async () => {
  const { ask } = await open()
  await expect(openAdmin(createMemoryController(), state)).rejects.toThrow('another controller listens at')
  expect((await ask('GET', '/healthz')).code).toBe(200)
})
