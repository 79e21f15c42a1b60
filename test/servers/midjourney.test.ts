import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { suite } from '../support/machine.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { greyOf, type Midapi, openMidapi, picture } from '../support/midapi.ts'
import { decodePng } from '../support/png.ts'
import { openPrism, type Prism } from '../support/prism.ts'
import { launchProgram, type Program } from '../support/program.ts'

vi.setConfig({ testTimeout: 60_000 })

const main = fileURLToPath(new URL('../../servers/midjourney/main.ts', import.meta.url))
const contract = fileURLToPath(new URL('../../../shared/data/midapi/openapi.yml', import.meta.url))

suite('midjourney, held to its service’s contract', ['shared-data'], () => {
  let fake: Midapi
  let prism: Prism
  let program: Program
  let client: McpClient
  let folder: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'midjourney-'))
    fake = await openMidapi()
    prism = await openPrism(contract, fake.url)
    program = await launchProgram(main, {
      MIDJOURNEY_API_URL: prism.url,
      MIDJOURNEY_API_KEY: fake.key,
      MIDJOURNEY_STATE_DIR: folder,
      MIDJOURNEY_POLL_MS: '300',
    })
    client = await connectCurl(`${program.url}/mcp`)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    await prism?.[Symbol.asyncDispose]()
    await fake?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  beforeEach(() => {
    fake.begin = 'done'
  })

  const tell = async (name: string, args: Readonly<Record<string, unknown>>) => {
    const { text, isError } = await client.callTool(name, args)
    expect({ text, isError }).toMatchObject({ isError: false })
    return text
  }
  const fault = async (name: string, args: Readonly<Record<string, unknown>>) => {
    const { text, isError } = await client.callTool(name, args)
    expect({ text, isError }).toMatchObject({ isError: true })
    return text
  }
  const idIn = (text: string) => /mj_task_\d+/.exec(text)?.[0] ?? 'none'
  const draw = async (prompt: string, more: Readonly<Record<string, unknown>> = {}) => {
    const id = idIn(await tell('generate_image', { prompt, ...more }))
    expect(await tell('get_image', { task_id: id, wait_seconds: 20 })).toContain('is done')
    return id
  }

  test.each(Object.entries(everyClient))('serves %s, from the wish to the picture', async (name, connect) => {
    fake.begin = 'running'
    const agent = await connect(`${program.url}/mcp`)
    onTestFinished(agent.close)
    const tools = ['generate_image', 'get_image', 'list_images', 'upscale_image', 'vary_image']
    expect((await agent.listTools()).toSorted()).toEqual(tools)
    const asked = await agent.callTool('generate_image', { prompt: `a lighthouse for ${name}` })
    expect(asked).toMatchObject({ isError: false, text: expect.stringMatching(/^Task mj_task_\d+ runs .*get_image/) })
    const id = idIn(asked.text)
    expect(await agent.callTool('get_image', { task_id: id })).toMatchObject({ text: expect.stringContaining('runs') })
    fake.tasks.get(id)!.state = 'done'
    const done = await agent.callTool('get_image', { task_id: id, wait_seconds: 20, picture: '3' })
    expect(done.text).toMatch(/is done: "a lighthouse for/)
    for (const number of [1, 2, 3, 4])
      expect(done.text).toContain(`${number}. ${fake.url}/img/${id}/${number}.png (kept here, image/png, 1 kB)`)
    const grey = greyOf(3)
    expect(decodePng(done.images[0]!).at(4, 4)).toBe(((grey << 24) | (grey << 16) | (grey << 8) | 255) >>> 0)
    expect(await agent.callTool('list_images', { limit: 1 })).toMatchObject({
      text: expect.stringMatching(
        new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d ${id} done: "a lighthouse for ${name}"$`),
      ),
    })
  })

  test('is ready', async () => {
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })

  test('sends every parameter as the service names it, numbers also where they come as text', async () => {
    await draw('a tower --no fog', {
      aspect_ratio: '16:9',
      version: 6.1,
      speed: 'turbo',
      stylization: '250',
      weirdness: 10,
      variety: '15',
    })
    expect(fake.asked.filter(({ path }) => path === 'generate').at(-1)).toEqual({
      path: 'generate',
      authorization: `Bearer ${fake.key}`,
      body: {
        taskType: 'mj_txt2img',
        prompt: 'a tower --no fog',
        aspectRatio: '16:9',
        version: '6.1',
        speed: 'turbo',
        stylization: 250,
        weirdness: 10,
        variety: 15,
      },
    })
  })

  test.each([
    ['content', 'mj_img2img', { speed: 'fast' }],
    ['style', 'mj_style_reference', { speed: 'fast' }],
    ['subject', 'mj_omni_reference', {}],
  ])('draws after the %s of given pictures', async (image_use, taskType, more) => {
    const image_urls = ['https://93.184.215.14/a.png']
    await draw(`like this ${image_use}`, { image_use, image_urls })
    const { body } = fake.asked.filter(({ path }) => path === 'generate').at(-1)!
    expect(body).toEqual({
      taskType,
      prompt: `like this ${image_use}`,
      aspectRatio: '1:1',
      version: '7',
      fileUrls: image_urls,
      ...more,
    })
  })

  test('enlarges and varies the picture that was meant', async () => {
    const id = await draw('a boat')
    for (const [name, path, index] of [
      ['upscale_image', 'generateUpscale', '1'],
      ['vary_image', 'generateVary', 4],
    ] as const) {
      const made = idIn(await tell(name, { task_id: id, index }))
      expect(fake.asked.findLast((one) => one.path === path)?.body).toEqual({
        taskId: id,
        imageIndex: Number(index) - 1,
      })
      const shown = await tell('get_image', { task_id: made, wait_seconds: 20 })
      expect(shown).toContain(`is done: ${name.split('_')[0]} of ${id}, picture ${index}`)
      expect(shown.match(/kept here/g)).toHaveLength(path === 'generateUpscale' ? 1 : 4)
    }
  })

  test('knows a task that was submitted elsewhere', async () => {
    fake.tasks.set('mj_of_old', { type: 'mj_txt2img', body: {}, pictures: 4, state: 'done', reason: '' })
    expect(await tell('get_image', { task_id: 'mj_of_old', wait_seconds: 20 })).toMatch(/4\. .*kept here/)
  })

  test('offers what it keeps as resources', async () => {
    const id = await draw('a well')
    const reader = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
    await reader.connect(new StreamableHTTPClientTransport(new URL(`${program.url}/mcp`)))
    onTestFinished(() => reader.close())
    const uri = `midjourney://pictures/${id}/2`
    const { resources } = await reader.listResources()
    expect(resources.find((one) => one.uri === uri)).toMatchObject({ mimeType: 'image/png', size: picture(2).length })
    const { contents } = await reader.readResource({ uri })
    expect(contents).toEqual([{ uri, mimeType: 'image/png', blob: picture(2).toString('base64') }])
    const { content } = await reader.callTool({ name: 'get_image', arguments: { task_id: id } })
    expect(content).toContainEqual(expect.objectContaining({ type: 'resource_link', uri, mimeType: 'image/png' }))
    for (const wrong of [`midjourney://pictures/${id}/5`, 'midjourney://pictures/../1', 'midjourney://pictures/a/b/1'])
      await expect(reader.readResource({ uri: wrong })).rejects.toThrow(/not found/i)
  })

  test.each([
    [400, /wrong in the request/],
    [401, /MIDJOURNEY_API_KEY/],
    [402, /no credits left/],
    [404, /no such thing/],
    [422, /these parameters/],
    [429, /wait a minute/],
    [455, /maintained/],
    [500, /try again later/],
    [501, /change the prompt/],
    [505, /switched this off/],
  ])('answers a refusal with code %i by an error, which costs nothing', async (code, words) => {
    const made = fake.tasks.size
    fake.tricks.push({ code, msg: 'so it is' })
    const text = await fault('generate_image', { prompt: `refused ${code}` })
    expect(text).toMatch(words)
    expect(text).toContain('it said: so it is')
    expect(text).toContain('Nothing was drawn, and it does not count.')
    expect(await tell('list_images', { limit: 50 })).not.toContain(`refused ${code}`)
    expect(fake.tasks.size).toBe(made)
  })

  test('answers a task that fails at once by an error, and one that fails later by its reason', async () => {
    fake.begin = 'failed'
    expect(await fault('generate_image', { prompt: 'not allowed' })).toBe(
      'The service could not draw it: the prompt was rejected. Nothing was drawn, and it does not count.',
    )
    fake.begin = 'running'
    const id = idIn(await tell('generate_image', { prompt: 'allowed at first' }))
    fake.tasks.get(id)!.state = 'failed'
    expect(await fault('get_image', { task_id: id, wait_seconds: 20 })).toBe(
      `Task ${id} failed: the prompt was rejected`,
    )
    expect(await fault('upscale_image', { task_id: id, index: 1 })).toContain('is failed, not done')
  })

  test('never pays twice for what already runs, or for the same enlargement', async () => {
    fake.begin = 'running'
    const asked = { prompt: 'a twin', aspect_ratio: '2:1' }
    const id = idIn(await tell('generate_image', asked))
    const made = fake.tasks.size
    expect(await fault('generate_image', asked)).toContain(`get_image with task_id "${id}" gives it`)
    expect(await fault('vary_image', { task_id: id, index: 1 })).toContain('is running, not done')
    fake.tasks.get(id)!.state = 'done'
    await tell('get_image', { task_id: id, wait_seconds: 20 })
    expect(fake.tasks.size).toBe(made)
    fake.begin = 'done'
    const large = idIn(await tell('upscale_image', { task_id: id, index: 2 }))
    await tell('get_image', { task_id: large, wait_seconds: 20 })
    expect(await fault('upscale_image', { task_id: id, index: 2 })).toContain(large)
    expect(idIn(await tell('generate_image', asked))).not.toBe(id)
  })

  const address = 'is not an address of the public internet'
  test.each<[string, string, Record<string, unknown>, string | RegExp]>([
    ['no prompt', 'generate_image', {}, 'give a prompt'],
    ['an empty prompt', 'generate_image', { prompt: '  ' }, 'give a prompt'],
    ['a long prompt', 'generate_image', { prompt: 'x'.repeat(2_001) }, 'more than 2000 characters'],
    ['only flags', 'generate_image', { prompt: '--no fog --tile' }, 'only flags'],
    [
      'a flag with a parameter',
      'generate_image',
      { prompt: 'a cat --ar 99:1' },
      '--ar has a parameter of its own: give aspect_ratio',
    ],
    ['another one', 'generate_image', { prompt: 'a cat --V 5 and' }, 'give version'],
    ['a control character', 'generate_image', { prompt: 'a\u0007cat' }, 'control character'],
    ['an unknown ratio', 'generate_image', { prompt: 'a', aspect_ratio: '21:9' }, 'aspect_ratio'],
    ['an unknown version', 'generate_image', { prompt: 'a', version: 8 }, 'version'],
    ['variety between the steps', 'generate_image', { prompt: 'a', variety: 7 }, 'variety'],
    ['stylization that is no number', 'generate_image', { prompt: 'a', stylization: true }, 'stylization'],
    ['too much weirdness', 'generate_image', { prompt: 'a', weirdness: '3001' }, 'weirdness'],
    ['an unknown parameter', 'generate_image', { prompt: 'a', seed: 1 }, 'seed'],
    ['metadata of a cloud', 'generate_image', { prompt: 'a', image_urls: ['http://169.254.169.254/latest'] }, address],
    ['a private network', 'generate_image', { prompt: 'a', image_urls: ['http://10.1.2.3/a.png'] }, address],
    ['loopback of IPv6', 'generate_image', { prompt: 'a', image_urls: ['http://[::1]/a.png'] }, address],
    ['loopback in IPv6', 'generate_image', { prompt: 'a', image_urls: ['http://[::ffff:127.0.0.2]/a.png'] }, address],
    ['loopback in hexadecimal', 'generate_image', { prompt: 'a', image_urls: ['http://0x7f000002/a.png'] }, address],
    ['a name of loopback', 'generate_image', { prompt: 'a', image_urls: ['http://localhost/a.png'] }, address],
    ['a name of nothing', 'generate_image', { prompt: 'a', image_urls: ['http://nowhere.invalid/a.png'] }, 'no host'],
    ['a file', 'generate_image', { prompt: 'a', image_urls: ['file:///etc/passwd'] }, 'no http address'],
    ['data', 'generate_image', { prompt: 'a', image_urls: ['data:image/png;base64,AA'] }, 'no http address'],
    ['index 0', 'upscale_image', { task_id: 'mj_task_1', index: 0 }, 'index'],
    ['index 5', 'vary_image', { task_id: 'mj_task_1', index: '5' }, 'index'],
    ['no index', 'vary_image', { task_id: 'mj_task_1' }, 'index'],
    ['a path for a task', 'get_image', { task_id: '../../etc/passwd' }, 'give a task_id'],
    ['a long name of a task', 'get_image', { task_id: 'x'.repeat(65) }, 'give a task_id'],
    ['a task that is none', 'get_image', { task_id: 'mj_task_0' }, 'There is no task mj_task_0 here'],
    ['a task that is none', 'upscale_image', { task_id: 'mj_task_0', index: 1 }, 'There is no task mj_task_0 here'],
    ['a long wait', 'get_image', { task_id: 'mj_task_1', wait_seconds: 3600 }, 'wait_seconds'],
    ['a long list', 'list_images', { limit: 1000 }, 'limit'],
  ])('says what is wrong with %s', async (_, tool, args, words) => {
    const made = fake.tasks.size
    expect(await fault(tool, args)).toMatch(words)
    expect(fake.tasks.size).toBe(made)
  })

  test('lives on after all of that, with nothing that departed from the contract', async () => {
    expect(await draw('still here')).toMatch(/^mj_task_/)
    expect(prism.faults()).toEqual([])
    expect(JSON.stringify(program.lines)).not.toContain(fake.key)
  })

  test('would have been told of what departs from the contract', async () => {
    fake.quoted = true
    await tell('generate_image', { prompt: 'a result as text' })
    await expect.poll(prism.faults).toEqual([expect.stringContaining('Request/Response not valid')])
  })
})
