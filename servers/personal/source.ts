/** What is known of one file. */
export interface Source {
  /** Of its rows in the store. */
  readonly id: number
  /** Relative to the folder. */
  readonly path: string
  /** Of the content that was looked at last, whether or not it could be read. */
  readonly print: string
  /** ms since 1970. */
  readonly changed: number
  /** What it was recognised as when it was last read; undefined for what never was. */
  readonly format?: string | undefined
  readonly rows: number
  /** Days of its first and last row, where its rows have one. */
  readonly first?: string | undefined
  readonly last?: string | undefined
  /** Lines without use, and why the first of them is. */
  readonly unusable: number
  readonly why?: string | undefined
  /** Why its present content is not what is served. */
  readonly fault?: string | undefined
}
