import { addTool, type McpServer, ToolFailure } from '../kit/tool.ts'
import { alterBody, alterInput, generateBody, generateInput, getInput, listInput } from './order.ts'
import { summary } from './report.ts'
import { checkPicture, show } from './show.ts'
import type { Studio } from './studio.ts'
import { submit } from './submit.ts'

/** Each of them makes a task of the service, which costs its account something. */
const paid = { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true }

/** Registers the five tools. */
export function addImageTools(server: McpServer, studio: Studio): void {
  addGenerate(server, studio)
  addAlter(server, studio, 'upscale')
  addAlter(server, studio, 'vary')
  addGet(server, studio)
  addList(server, studio)
}

function addGenerate(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'generate_image',
    title: 'Have pictures drawn',
    description:
      'Has Midjourney draw four pictures and answers with a task_id, not with the pictures: they take one to five minutes, then get_image has them. Each task is paid, and all agents may share a few a day. An answer with an error costs nothing.',
    input: generateInput,
    annotations: paid,
  }
  addTool(server, tool, async (input, signal) => {
    const refusals = await Promise.all((input.image_urls ?? []).map((url) => studio.guard.refusal(url)))
    const refusal = refusals.find((one) => one !== undefined)
    if (refusal !== undefined) throw new ToolFailure(`image_urls: ${refusal}. Give pictures that everybody can load.`)
    return await submit(studio, { kind: 'generate', body: generateBody(input) }, signal)
  })
}

const alterations = {
  upscale: {
    title: 'Enlarge a picture',
    description: 'Has one of the pictures of a finished task drawn larger, as a paid task of its own; see get_image.',
  },
  vary: {
    title: 'Vary a picture',
    description: 'Has four variations of a picture of a finished task drawn, as a paid task of its own; see get_image.',
  },
} as const

function addAlter(server: McpServer, studio: Studio, kind: 'upscale' | 'vary'): void {
  const tool = { name: `${kind}_image`, ...alterations[kind], input: alterInput, annotations: paid }
  addTool(server, tool, async (input, signal) => {
    await checkPicture(studio, input, signal)
    return await submit(studio, { kind, body: alterBody(input) }, signal)
  })
}

function addGet(server: McpServer, studio: Studio): void {
  const tool = {
    name: 'get_image',
    title: 'See what became of a task',
    description:
      'Says whether a task is done, with links to its pictures: those of the service last 15 days, those kept here longer. With `picture` it answers with that picture itself.',
    input: getInput,
    annotations: { openWorldHint: true },
  }
  addTool(server, tool, (input, signal) => show(studio, input, signal))
}

function addList(server: McpServer, { ledger }: Studio): void {
  const tool = {
    name: 'list_images',
    title: 'List the last tasks',
    description: 'The last tasks of all agents, newest first: when, task_id, state, what was asked for. Times are UTC.',
    input: listInput,
  }
  addTool(server, tool, ({ limit }) => ledger.recent(limit).map(summary).join('\n') || 'No tasks yet.')
}
