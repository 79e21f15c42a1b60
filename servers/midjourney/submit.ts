import { log } from '../kit/log.ts'
import { type Answer, ToolFailure } from '../kit/tool.ts'
import { report } from './report.ts'
import type { Studio } from './studio.ts'
import { isNamed, type Kind, type Task } from './task.ts'

const free = 'Nothing was drawn, and it does not count.'

/**
 * Has a task made, and waits for the first look at it, because what the service refuses it often refuses at once. An answer with
 * `isError` costs nothing, for the gateway gives such a call back to its budget: so what may have been paid is answered without.
 */
export async function submit(
  studio: Studio,
  { kind, body }: { readonly kind: Kind; readonly body: Readonly<Record<string, unknown>> },
  signal: AbortSignal,
): Promise<Answer> {
  const { ledger, service, watch } = studio
  const request = JSON.stringify(body)
  const twin = ledger.twin(kind, request)
  if (twin !== undefined) throw new ToolFailure(pointTo(twin))
  signal.throwIfAborted()
  const entry = ledger.begin(kind, request)
  const submission = await service.submit(kind, body)
  switch (submission.kind) {
    case 'refused':
      ledger.forget(entry)
      throw new ToolFailure(`${submission.reason}. ${free}`)
    case 'unknown':
      ledger.lose(entry, submission.reason)
      log.error({ kind, reason: submission.reason }, 'nobody knows whether a task was accepted')
      return unknown(submission.reason)
    case 'accepted':
      log.info({ task: submission.id, kind }, 'task accepted')
      ledger.accept(entry, submission.id)
      watch.follow(submission.id)
      return await firstNews(studio, submission.id, signal)
    default:
      return submission satisfies never
  }
}

async function firstNews({ ledger, album, watch }: Studio, id: string, signal: AbortSignal): Promise<Answer> {
  await watch.news(id, watch.firstLook, signal)
  const task = ledger.find(id)
  if (task === undefined) throw new Error(`task ${id} is not in the ledger`)
  if (task.state === 'failed') throw new ToolFailure(`The service could not draw it: ${task.reason}. ${free}`)
  return report(task, album)
}

function unknown(reason: string): string {
  return (
    `It is not known whether the service has accepted this (${reason}). It may have been paid, so it counts. ` +
    'The service does not tell which tasks it has; to ask again may cost another one.'
  )
}

function pointTo(twin: Task): string {
  if (!isNamed(twin)) return `The same is being submitted just now: see list_images. ${free}`
  return `The same was asked before: get_image with task_id "${twin.id}" gives it. ${free}`
}
