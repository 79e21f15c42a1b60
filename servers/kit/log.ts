import { destination, pino, stdTimeFunctions } from 'pino'

export const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** JSON lines on stderr. Its level is set by `serve` from `LOG_LEVEL`. */
export const log = pino({ base: undefined, timestamp: stdTimeFunctions.isoTime }, destination({ dest: 2, sync: true }))
