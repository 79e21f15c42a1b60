const plain = /^[A-Za-z_][\w./-]*(?: [\w./,-]+)*$/
const words = /^(?:true|false|null|yes|no|on|off|y|n)$/i

/** Plain values as block YAML, lists in one line. */
export function printYaml(value: Readonly<Record<string, unknown>>, indent = ''): string {
  return Object.entries(value)
    .map(([key, one]) =>
      isMapping(one)
        ? `${indent}${scalar(key)}:\n${printYaml(one, `${indent}  `)}`
        : `${indent}${scalar(key)}: ${flow(one)}\n`,
    )
    .join('')
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (isMapping(value))
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${scalar(key)}: ${flow(one)}`)
      .join(', ')} }`
  return typeof value === 'string' ? scalar(value) : JSON.stringify(value)
}

function scalar(text: string): string {
  return plain.test(text) && !words.test(text) ? text : JSON.stringify(text)
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
