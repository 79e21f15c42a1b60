import { z } from 'zod'
import { type Answer, text } from '../kit/tool.ts'
import { type Album, uriOf } from './album.ts'
import { isNamed, type NamedTask, type Picture, type Task } from './task.ts'

/** What an answer is made of. */
export type Blocks = Exclude<Answer, string>

const Request = z.looseObject({
  prompt: z.string().optional(),
  taskId: z.string().optional(),
  imageIndex: z.number().optional(),
})

/** What is to be said of a task, with links to the pictures that are kept. */
export function report(task: NamedTask, album: Album): Blocks {
  const pictures = album.of(task.id)
  const links = pictures
    .filter(({ keeping }) => keeping === 'kept')
    .map((picture) => ({ type: 'resource_link' as const, uri: uriOf(picture), ...listed(picture) }))
  return [text([statement(task), ...pictures.map(pictureLine)].join('\n')), ...links]
}

/** Name, type and size of a picture, as a resource has them. */
export function listed(picture: Picture): { readonly name: string; readonly mimeType: string; readonly size: number } {
  return {
    name: `${picture.task} ${picture.number}`,
    mimeType: picture.type ?? 'application/octet-stream',
    size: picture.bytes ?? 0,
  }
}

/** One line for each task of a list. */
export function summary(task: Task): string {
  const when = new Date(task.sent).toISOString().slice(0, 16).replace('T', ' ')
  return `${when} ${isNamed(task) ? task.id : '(no task_id)'} ${task.state}: ${wish(task)}${because(task)}`
}

function statement(task: NamedTask): string {
  const { id, state } = task
  switch (state) {
    case 'sent':
    case 'unknown':
    case 'running':
      return `Task ${id} runs for ${seconds(Date.now() - task.sent)}${because(task)}. It takes one to five minutes: call get_image with task_id "${id}" in half a minute.`
    case 'failed':
      return `Task ${id} failed${because(task)}.`
    case 'done':
      return `Task ${id} is done: ${wish(task)}`
    default:
      return state satisfies never
  }
}

function pictureLine(picture: Picture): string {
  const { number, url, keeping, reason } = picture
  switch (keeping) {
    case 'kept':
      return `${number}. ${url} (kept here, ${picture.type}, ${size(picture.bytes ?? 0)})`
    case 'waiting':
      return `${number}. ${url} (${reason === '' ? 'being fetched' : `not fetched yet: ${reason}`})`
    case 'dropped':
    case 'lost':
      return `${number}. ${url} (not kept: ${reason})`
    default:
      return keeping satisfies never
  }
}

function wish({ kind, request }: Task): string {
  const { prompt, taskId, imageIndex } = Request.parse(JSON.parse(request))
  if (prompt !== undefined) return JSON.stringify(prompt.length > 100 ? `${prompt.slice(0, 100)}…` : prompt)
  return taskId === undefined ? 'submitted by others' : `${kind} of ${taskId}, picture ${(imageIndex ?? 0) + 1}`
}

function because({ reason }: Task): string {
  return reason === '' ? '' : ` (${reason})`
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}

function size(bytes: number): string {
  return bytes < 100_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
