/** Whose output is asked for, and of how many last lines. */
export interface LogQuestion {
  readonly server: string
  readonly tail: number
}
