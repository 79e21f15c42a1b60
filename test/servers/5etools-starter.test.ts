import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

const folder = fileURLToPath(new URL('../../servers/5etools', import.meta.url))
const schemas = join(folder, 'node_modules/5etools-utils/schema/site')
const data = join(folder, 'data')

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))
const jsonFiles = (path: string) =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'))

/** The data's own names of files end with the source's. */
const schemaOf = (file: string) => file.replace(/-cgs\.json$/, '.json')

describe('the starter set', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false, inlineRefs: false })
  addFormats.default(ajv)
  beforeAll(() => {
    for (const name of jsonFiles(schemas)) {
      const schema = z.record(z.string(), z.unknown()).parse(readJson(join(schemas, name)))
      ajv.addSchema({ ...schema, $id: name })
    }
    // Compiling what all of them refer to takes most of the time; a test's own limit is not for that.
    ajv.getSchema('actions.json')
  })

  test.each(jsonFiles(data))("%s is as 5etools' own schema wants it", (file) => {
    const validate = ajv.getSchema(schemaOf(file))
    expect(validate).toBeDefined()
    validate?.(readJson(join(data, file)))
    expect(validate?.errors).toBeNull()
  })
})
