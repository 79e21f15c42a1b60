import { acquireLease } from '../../controller/lease.ts'

/** A program: takes the lease of a state folder, says so, and only stands there, to be killed. */
await acquireLease(process.argv[2] ?? '', () => console.log('waits'), new AbortController().signal)
console.log('holds')
setInterval(() => {}, 60_000)
