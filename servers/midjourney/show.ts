import type { z } from 'zod'
import { type Answer, image, ToolFailure, text } from '../kit/tool.ts'
import type { alterInput, getInput } from './order.ts'
import { type Blocks, report } from './report.ts'
import type { Studio } from './studio.ts'
import type { NamedTask, Picture } from './task.ts'

/** What clients and models take inside an answer, bytes. */
const mostInside = 3_500_000

/** What is known of a task; waits for its pictures as long as it is told to. */
export async function show(studio: Studio, input: z.infer<typeof getInput>, signal: AbortSignal): Promise<Answer> {
  const { task_id: id, picture: number, wait_seconds } = input
  await recall(studio, id, signal)
  await settle(studio, { id, limit: wait_seconds * 1000 }, signal)
  const task = taskOf(studio, id)
  if (task.state === 'failed') throw new ToolFailure(`Task ${id} failed: ${task.reason}`)
  const told = report(task, studio.album)
  if (number === undefined || task.state !== 'done') return told
  return [...(await inside(studio, pictureOf(studio, id, number))), ...told]
}

/** Says what is wrong with a picture that is to be altered. */
export async function checkPicture(
  studio: Studio,
  { task_id: id, index }: z.infer<typeof alterInput>,
  signal: AbortSignal,
): Promise<void> {
  await recall(studio, id, signal)
  const { state } = taskOf(studio, id)
  if (state !== 'done') throw new ToolFailure(`Task ${id} is ${state}, not done: get_image says when it is.`)
  pictureOf(studio, id, index)
}

/** The service may know a task that nobody asked for here, or that was asked for before the folder was lost. */
async function recall({ ledger, service, watch }: Studio, id: string, signal: AbortSignal): Promise<void> {
  if (ledger.find(id) !== undefined) return
  const seen = await service.look(id, signal)
  if (seen.kind === 'silent') throw new ToolFailure(`There is no task ${id} here; list_images has all. ${seen.reason}`)
  ledger.adopt(id)
  watch.follow(id)
  await watch.news(id, watch.firstLook, signal)
}

/** Waits until a task has its pictures here, or at least has tried. */
async function settle(
  { ledger, album, watch }: Studio,
  { id, limit }: { readonly id: string; readonly limit: number },
  signal: AbortSignal,
): Promise<void> {
  const end = Date.now() + limit
  const isOpen = () =>
    ledger.find(id)?.state === 'running' ||
    album.of(id).some(({ keeping, reason }) => keeping === 'waiting' && reason === '')
  while (isOpen() && Date.now() < end && !signal.aborted) await watch.news(id, end - Date.now(), signal)
}

function taskOf({ ledger }: Studio, id: string): NamedTask {
  const task = ledger.find(id)
  if (task === undefined) throw new Error(`task ${id} is not in the ledger`)
  return task
}

function pictureOf({ album }: Studio, id: string, number: number): Picture {
  const pictures = album.of(id)
  const picture = pictures.find((one) => one.number === number)
  if (picture !== undefined) return picture
  throw new ToolFailure(
    `Task ${id} has ${pictures.length === 1 ? 'one picture' : `${pictures.length} pictures`}: there is no ${number}.`,
  )
}

async function inside({ album }: Studio, picture: Picture): Promise<Blocks> {
  const bytes = await album.read(picture)
  if (bytes === undefined || picture.type === null) return [text(`Picture ${picture.number} is not here to be shown:`)]
  if (bytes.length <= mostInside) return [image(bytes, picture.type)]
  return [text(`Picture ${picture.number} is too large to be shown here: read its resource, or open its link.`)]
}
