import { z } from 'zod'
import { anyNumber, wholeNumber } from '../kit/input.ts'

const themes = ['default', 'base', 'dark', 'forest', 'neutral', 'neo', 'neo-dark', 'redux', 'redux-dark'] as const

const paperFor: Readonly<Record<(typeof themes)[number], string>> = {
  default: 'white',
  base: 'white',
  dark: '#1f2020',
  forest: 'white',
  neutral: 'white',
  neo: 'white',
  'neo-dark': '#1f2020',
  redux: 'white',
  'redux-dark': '#1f2020',
}

/** The text of a diagram, of at most `maxText` characters. */
function codeInput(maxText: number) {
  return z
    .string('give the Mermaid code of a diagram')
    .describe('The diagram in Mermaid syntax, without a Markdown fence')
    .max(maxText, `the diagram has more than ${maxText} characters; split it`)
    .superRefine((code, context) => {
      const line = code.split('\n').findIndex(hasControl)
      if (line >= 0) context.addIssue(`line ${line + 1} holds a control character that no diagram can show`)
    })
    .transform((code) => unfenced(code.replace(/\r\n?/g, '\n').toWellFormed()))
}

function hasControl(line: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(line)
}

/** What is inside the fence that a language model likes to put around code, if there is one. */
function unfenced(code: string): string {
  return /^\s*```(?:mermaid)?[ \t]*\n([\s\S]*?)\n?```\s*$/.exec(code)?.[1] ?? code
}

export function renderInput(maxText: number) {
  return z.strictObject({
    code: codeInput(maxText),
    format: z.enum(['png', 'svg']).default('png').describe('png is a picture; svg is text that scales'),
    theme: z.enum(themes).default('default'),
    background: z
      .string()
      .regex(
        /^(?:transparent|[a-zA-Z]{1,30}|#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}))$/,
        'give transparent, a CSS colour name or #rrggbb',
      )
      .optional()
      .describe('transparent, a CSS colour name or #rrggbb; default white, with a dark theme nearly black'),
    scale: anyNumber(1, 4).prefault(2).describe('Pixels of the png per CSS pixel'),
    width: wholeNumber(16, 4_000).optional().describe('CSS pixels; default as the diagram needs'),
  })
}

export function validateInput(maxText: number) {
  return z.strictObject({ code: codeInput(maxText) })
}

export const listInput = z.strictObject({
  type: z.string().max(40).optional().describe('A type from the list: answers with an example of it'),
})

/** The background to draw on where none was asked for. */
export function backgroundFor(input: Pick<z.infer<ReturnType<typeof renderInput>>, 'theme' | 'background'>): string {
  return input.background?.toLowerCase() ?? paperFor[input.theme]
}
