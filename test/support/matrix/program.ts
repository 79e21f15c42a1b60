import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { enterStageDoor } from './backstage.ts'
import { makeV1 } from './server-v1.ts'

/** A program that speaks MCP on stdin and stdout, as most of them do: with the first SDK generation, in the older era only. */
await makeV1(await enterStageDoor(Number(process.env.STAGE_DOOR))).connect(new StdioServerTransport())
