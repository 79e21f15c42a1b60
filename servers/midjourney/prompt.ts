import { z } from 'zod'

/** Flags of Midjourney that are a parameter of the tool. */
const parameters: Readonly<Record<string, string>> = {
  ...named('aspect_ratio', 'ar', 'aspect'),
  ...named('version', 'v', 'version', 'niji'),
  ...named('stylization', 's', 'stylize'),
  ...named('weirdness', 'w', 'weird'),
  ...named('variety', 'c', 'chaos'),
  ...named('speed', 'fast', 'turbo', 'relax'),
  ...named('image_urls', 'sref', 'oref', 'cref'),
}

function named(parameter: string, ...flags: readonly string[]): Record<string, string> {
  return Object.fromEntries(flags.map((flag) => [flag, parameter]))
}

const flag = /(?<=^|\s)(?:--|—)([a-z]+)\b/gi

/** What is to be drawn, in words. */
export const prompt = z
  .string('give a prompt: what the picture shows')
  .trim()
  .min(1, 'give a prompt: what the picture shows')
  .max(2_000, 'the prompt has more than 2000 characters: shorten it')
  .superRefine((text, context) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text))
      context.addIssue('the prompt holds a control character: remove it')
    if (/^(--|—)/.test(text)) context.addIssue('the prompt is only flags: say first what the picture shows')
    for (const [written, name = ''] of text.matchAll(flag)) {
      const parameter = Object.hasOwn(parameters, name.toLowerCase()) && parameters[name.toLowerCase()]
      if (parameter) context.addIssue(`${written} has a parameter of its own: give ${parameter} instead`)
    }
  })
  .transform((text) => text.replace(/\s+/g, ' ').toWellFormed())
  .describe('What the picture shows, in English; flags such as --no are part of it')
