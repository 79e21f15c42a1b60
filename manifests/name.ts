import { z } from 'zod'
import { found, judged, quote, text } from './text.ts'

const serverForm = /^[a-z0-9][a-z0-9-]{0,19}$/
const variableForm = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const given: Readonly<Record<string, string>> = { PORT: 'set it with "port"', HOST: 'always 0.0.0.0' }
const ours = 'names that begin with GATEWAY_ are the gateway’s own'

/** What the gateway gives its own networks, volumes, images and containers, where a server's name would stand. */
const reserved = new Set(['gateway', 'controller', 'proxy', 'edge', 'egress', 'stdio'])

/** What is wrong with a server's name, as a whole sentence; undefined if nothing is. */
export function wrongServerName(name: string): string | undefined {
  if (name in Object.prototype) return `${quote(name)} cannot be a server’s name`
  if (reserved.has(name)) return `"${name}" is a part of the gateway itself, and no server’s name`
  if (serverForm.test(name)) return
  return `${quote(name)} is no server’s name: 1 to 20 of a-z, 0-9 and -, not beginning with -`
}

export const ServerName = judged(wrongServerName).meta({ pattern: serverForm.source })

export const AgentName = text(
  /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/,
  'an agent’s name: 1 to 64 of A-Z, a-z, 0-9, . _ @ and -, beginning with a letter or digit',
)

function wrongVariable(name: string): string | undefined {
  if (!variableForm.test(name))
    return `${quote(name)} is no variable’s name: A-Z, a-z, 0-9 and _, not beginning with a digit`
  if (Object.hasOwn(given, name)) return `${name} is given by the gateway: ${given[name]}`
  if (/^GATEWAY_/i.test(name)) return `${ours}: ${name}`
}

/** A variable that a manifest may set in a server's environment. */
export const VariableName = judged(wrongVariable).meta({ pattern: variableForm.source })

/** What was found is not repeated: it may be the secret itself. */
function wrongSecret(name: string): string | undefined {
  if (!variableForm.test(name))
    return 'expected the name of a secret: A-Z, a-z, 0-9 and _, not beginning with a digit; its value belongs in the secrets file on the machine'
  if (Object.hasOwn(given, name)) return `${name} is given by the gateway: ${given[name]}`
  if (/^GATEWAY_/i.test(name)) return `${ours}: ${name}`
}

/** A name in the secrets file on the machine. */
export const SecretName = judged(wrongSecret).meta({ pattern: variableForm.source })

function wrongArgument(name: string): string | undefined {
  if (!variableForm.test(name))
    return `${quote(name)} is no argument’s name: A-Z, a-z, 0-9 and _, not beginning with a digit`
  if (/^GATEWAY_/i.test(name)) return `${ours}: ${name}`
  if (/^BUILDKIT_/i.test(name)) return `names that begin with BUILDKIT_ steer the builder itself: ${name}`
}

/** A build argument. */
export const ArgumentName = judged(wrongArgument).meta({ pattern: variableForm.source })

/** A value of a variable or an argument: text, or a number or truth value taken as it is written. */
export const Value = z
  .union([z.string(), z.number(), z.boolean()], {
    error: ({ input }) => `expected text, found ${found(input)}${input === null ? ': "" is the empty text' : ''}`,
  })
  .transform(String)

/** A tool's name as its server has it, exactly: no pattern. */
export const ToolName = text(
  /^\P{Cc}{1,128}$/u,
  'the name of a tool: 1 to 128 characters, none of them a control character',
)

/** Prefix of tools on the joint endpoint. Names are split at the first `__`, so it holds none and does not end in `_`. */
export const Prefix = text(
  /^(?!.*__)(?:[A-Za-z_][A-Za-z0-9_-]{0,19}[A-Za-z0-9-]|[A-Za-z])?$/,
  'a prefix: at most 21 of A-Z, a-z, 0-9, _ and -, beginning with a letter or _, without __ and not ending in _; or "" for none',
)

/** A name of a volume of the server, or of a folder that the machine offers. */
export const volumeName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
