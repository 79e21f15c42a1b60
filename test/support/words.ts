/** What an upstream says of its tools, which a test may change at any time: `echo` describes that one, `fresh` is there if it has words. */
export interface Words {
  echo?: string
  fresh?: string
}

/** A tool's answer in words. */
export const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] })
