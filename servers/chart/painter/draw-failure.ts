/** Something in the input cannot be drawn; the message is meant for who asked. */
export class DrawFailure extends Error {}
