import { z } from 'zod'
import { wholeNumber } from '../kit/input.ts'
import { prompt } from './prompt.ts'
import { taskId } from './task.ts'

const ratios = ['1:2', '9:16', '2:3', '3:4', '5:6', '6:5', '4:3', '3:2', '1:1', '16:9', '2:1'] as const
const versions = ['7', '6.1', '6', '5.2', '5.1', 'niji6'] as const

/** Language models give versions as numbers. */
const text = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((given) => (typeof given === 'number' ? String(given) : given), schema)

const taskTypes = { content: 'mj_img2img', style: 'mj_style_reference', subject: 'mj_omni_reference' } as const

export const generateInput = z.strictObject({
  prompt,
  aspect_ratio: z.enum(ratios).default('1:1'),
  version: text(z.enum(versions).default('7')),
  speed: z.enum(['relaxed', 'fast', 'turbo']).default('fast').describe('turbo costs the most, relaxed the least'),
  stylization: wholeNumber(0, 1_000).optional(),
  weirdness: wholeNumber(0, 3_000).optional(),
  variety: wholeNumber(0, 100)
    .refine((value) => value % 5 === 0, 'give a multiple of 5')
    .optional()
    .describe('How much the four differ, in steps of 5'),
  image_urls: z
    .array(z.string().max(2_000))
    .max(5)
    .optional()
    .describe('Pictures on the public internet to draw after'),
  image_use: z
    .enum(['content', 'style', 'subject'])
    .default('content')
    .describe('What is taken from image_urls: what they show, their style, or a person or thing in them'),
})

/** The body of a request, as the service takes it. */
export function generateBody(input: z.infer<typeof generateInput>): Record<string, unknown> {
  const { image_urls = [], image_use, speed, aspect_ratio, ...rest } = input
  const withImages = image_urls.length > 0
  const taskType = withImages ? taskTypes[image_use] : 'mj_txt2img'
  return {
    taskType,
    ...rest,
    aspectRatio: aspect_ratio,
    ...(taskType === 'mj_omni_reference' ? {} : { speed }),
    ...(withImages ? { fileUrls: image_urls } : {}),
  }
}

const index = wholeNumber(1, 4).describe('Which of its pictures, from 1')

export const alterInput = z.strictObject({ task_id: taskId, index })

/** The service counts from 0. */
export function alterBody({ task_id, index }: z.infer<typeof alterInput>): Record<string, unknown> {
  return { taskId: task_id, imageIndex: index - 1 }
}

export const getInput = z.strictObject({
  task_id: taskId,
  picture: index.optional().describe('Answers with this one of its pictures itself, from 1'),
  wait_seconds: wholeNumber(0, 30).prefault(0).describe('How long to wait at most where it is not done yet'),
})

export const listInput = z.strictObject({ limit: wholeNumber(1, 50).prefault(10) })
