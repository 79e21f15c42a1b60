import { firstLine } from './first-line.ts'
import { ToolFailure } from './tool.ts'

/** Why a render gave no result although its input may be fine; the message is meant for who asked. */
export class RenderFailure extends ToolFailure {
  override readonly name = 'RenderFailure'
  readonly reason: 'busy' | 'timeout' | 'crashed' | 'unavailable' | 'stopped'

  constructor(reason: RenderFailure['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export function stopped(): RenderFailure {
  return new RenderFailure('stopped', 'The renderer is stopping.')
}

/** Who is busy works. */
export function whyUnready(error: unknown): string | undefined {
  if (error instanceof RenderFailure && error.reason === 'busy') return undefined
  return firstLine(error)
}
