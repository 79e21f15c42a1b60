import { z } from 'zod'

/** What agents call a task by: the service's own name of it. It becomes part of a file's name. */
export const taskId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'give a task_id as generate_image answers it')

export const Kind = z.enum(['generate', 'upscale', 'vary'])
export type Kind = z.infer<typeof Kind>

/**
 * `sent`: no answer yet; `unknown`: the answer was lost, so that nobody knows whether there is a task; `running`; `done`: it has
 * pictures; `failed`: it never will.
 */
export const State = z.enum(['sent', 'unknown', 'running', 'done', 'failed'])
export type State = z.infer<typeof State>

/** All that is remembered of one task, times in ms since the epoch. */
export const Task = z.object({
  /** Our own number of it. */
  entry: z.number(),
  /** Absent while it is `sent` or `unknown`. */
  id: z.string().nullable(),
  kind: Kind,
  /** The body that was sent to the service, as JSON; `{}` for a task that others have submitted. */
  request: z.string(),
  state: State,
  /** Why it is in its state, or what the service said last. */
  reason: z.string(),
  sent: z.number(),
  ended: z.number().nullable(),
})
export type Task = Readonly<z.infer<typeof Task>>

/** A task that the service has a name for. */
export type NamedTask = Task & { readonly id: string }

/** `waiting`: not fetched yet; `dropped`: removed to make room; `lost`: never fetched, and gone from the service. */
const Keeping = z.enum(['waiting', 'kept', 'dropped', 'lost'])

export const Picture = z.object({
  task: z.string(),
  /** From 1. */
  number: z.number(),
  /** Where the service has it. */
  url: z.string(),
  keeping: Keeping,
  reason: z.string(),
  /** Of a kept one: media type and bytes. */
  type: z.string().nullable(),
  bytes: z.number().nullable(),
})
export type Picture = Readonly<z.infer<typeof Picture>>

export function isNamed(task: Task): task is NamedTask {
  return task.id !== null
}
