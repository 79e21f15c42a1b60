import { isChartType } from '../catalogue.ts'
import { type Answer, jobMessage } from '../message.ts'
import { fontsLack } from './canvas.ts'
import { DrawFailure } from './draw-failure.ts'
import { paintChart } from './paint.ts'

/** The process that paints: one chart at a time, each by a message, with its picture or what was wrong with it as answer. */
const send = (answer: Answer) => process.send?.(answer)

// Ctrl-C reaches every process of a terminal; the server ends this one when it needs it no more.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit())
process.on('message', (message) => {
  void paint(message).then(send)
})
send({ kind: 'ready', fontsLack })

async function paint(message: unknown): Promise<Answer> {
  const { type, input } = jobMessage.parse(message)
  try {
    if (!isChartType(type)) throw new DrawFailure(`there is no type "${type}"`)
    const png = await paintChart({ type, input })
    return { kind: 'picture', png, memory: process.memoryUsage.rss() }
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    const known = error instanceof DrawFailure
    return { kind: 'problem', words, known, ...(!known && error instanceof Error && { stack: error.stack }) }
  }
}
