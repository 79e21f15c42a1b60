/** What whoever typed the command can act on: one clear line, without a stack. */
export class Fault extends Error {
  override readonly name: string = 'Fault'
}

/** No controller answers where one was looked for. */
export class Unanswered extends Fault {
  override readonly name = 'Unanswered'
}
