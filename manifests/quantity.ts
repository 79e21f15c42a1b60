import { z } from 'zod'
import { found, text } from './text.ts'

const units = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const
const durationForm = /^(?=\d)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/
const day = 24 * units.h

/** `250ms`, `60s`, `1m30s`, `2h` → ms; not below `least`, nor over a day. */
export function duration(least: 0 | 1) {
  return text(durationForm, 'a time such as 250ms, 60s, 10m or 2h')
    .transform(milliseconds)
    .refine((ms) => ms >= least, { error: 'expected more than no time at all' })
    .refine((ms) => ms <= day, { error: 'expected at most 24h' })
}

function milliseconds(value: string): number {
  const [, h, m, s, ms] = durationForm.exec(value) ?? []
  return Number(h ?? 0) * units.h + Number(m ?? 0) * units.m + Number(s ?? 0) * units.s + Number(ms ?? 0)
}

const factors: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }
const allowedMemory = 'an amount such as 512m or 1g'

/** `512m`, `1g`, or a number of bytes → bytes. The engine starts nothing with less than 6 MiB. */
export const Memory = z
  .union([
    text(/^\d{1,9}[bkmg]b?$/, allowedMemory).transform(bytes),
    z.int({ error: ({ input }) => `expected ${allowedMemory}, found ${found(input)}` }),
  ])
  .refine((amount) => amount >= 6 * 1024 ** 2, { error: 'expected at least 6m' })

function bytes(value: string): number {
  const [, amount = '', unit = ''] = /^(\d+)([bkmg])/.exec(value) ?? []
  return Number(amount) * (factors[unit] ?? 1)
}
