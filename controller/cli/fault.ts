/** What whoever typed the command can act on: one clear line, without a stack. */
export class Fault extends Error {
  override readonly name = 'Fault'
}
