/**
 * Node's `http`, not by `import`: that reads each of its exports, and one of them brings all of `fetch` with it, 40 ms and 14 MB at the
 * start of every proxy.
 */
export const { createServer, request } = process.getBuiltinModule('node:http')
