import { z } from 'zod'

/** Language models write numbers as words too; other kinds are no numbers, whatever JavaScript makes of them. */
function asNumber(given: unknown): unknown {
  return typeof given === 'string' && /^\s*[-+]?\d+(\.\d+)?\s*$/.test(given) ? Number(given) : given
}

/** A default of it is a `prefault`: tools are listed with the defaults of what is given, not of what is made of it. */
export function wholeNumber(least: number, most: number) {
  const wanted = `give a whole number, ${least} to ${most}`
  return z.preprocess(asNumber, z.int(wanted).min(least, wanted).max(most, wanted))
}

export function anyNumber(least: number, most: number) {
  const wanted = `give a number, ${least} to ${most}`
  return z.preprocess(asNumber, z.number(wanted).min(least, wanted).max(most, wanted))
}

/** They write truth as words, too. */
export const yesNo = z.preprocess((given) => {
  const word = typeof given === 'string' ? given.trim().toLowerCase() : given
  return word === 'true' ? true : word === 'false' ? false : word
}, z.boolean('give true or false'))
