import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readSecrets, SecretsFault, sealer } from '../../controller/config/secrets.ts'
import { checkSecrets } from '../../controller/doctor/machine.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-secrets-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function secrets(text: string | Buffer): Promise<Record<string, string>> {
  const file = join(folder, '.env')
  await writeFile(file, text)
  return Object.fromEntries(await readSecrets(file))
}

describe('a secrets file', () => {
  test.each([
    ['a value', 'A=b', 'b'],
    ['an empty value', 'A=', ''],
    ['an empty value before a comment', 'A= # nothing', ''],
    ['an empty quoted value', 'A=""', ''],
    ['a value with =', 'A=b=c==', 'b=c=='],
    ['a value with spaces inside and around', 'A =  b c  ', 'b c'],
    ['a name after export', 'export A=b', 'b'],
    ['a name and a colon', 'A: b', 'b'],
    ['a comment behind a value', 'A=b # c', 'b'],
    ['a # that is no comment', 'A=b#c', 'b#c'],
    ['a value that begins with #', 'A=#b', '#b'],
    ['quotes in a value', `A=b"c'd`, `b"c'd`],
    ['double quotes', 'A="b # c" # d', 'b # c'],
    ['single quotes', "A='b # c' # d", 'b # c'],
    ['escapes in double quotes', String.raw`A="a\nb\t\"c\" \\ \z \0101"`, 'a\nb\t"c" \\ \\z A'],
    ['escapes in single quotes', String.raw`A='Let\'s \n'`, "Let's \\n"],
    ['escapes without quotes', String.raw`A=a\nb`, 'a\\nb'],
    ['several lines in quotes', 'A="one\ntwo"\nB=', 'one\ntwo'],
    ['several lines in single quotes', "A='one\n#two'", 'one\n#two'],
    ['a dollar sign in single quotes', "A='$B ${C}'", '$B ${C}'],
    ['an escaped dollar sign', String.raw`A="\$B"`, '$B'],
    ['a doubled dollar sign', 'A=b$$c', 'b$c'],
    ['a dollar sign that begins no name', 'A=b$', 'b$'],
    ['a name from above', 'B=b\nA=${B}-$B', 'b-b'],
    ['a default', 'B=\nA="${B:-x}${B-y}${C-z}${B:+p}${B+q}"', 'xzq'],
    ['Windows line ends', 'B=c\r\nA=b\r\n', 'b'],
    ['a byte order mark', '\uFEFFA=b', 'b'],
    ['letters beyond ASCII', 'A=ü€', 'ü€'],
    ['the last of two', 'A=a\nA=b', 'b'],
  ])('may have %s', async (_, text, expected) => {
    expect((await secrets(text)).A).toBe(expected)
  })

  test('may have comments, empty lines and names without a value', async () => {
    expect(await secrets('\n# A=1\n  # B=2\n\nC=3\nD\n')).toEqual({ C: '3' })
    expect(await secrets('')).toEqual({})
  })

  test.each([
    ['A=1\n=hidden', ':2: this is no NAME=value'],
    ['A=1\n\n7B=hidden', ':3: this is no NAME=value'],
    ['hidden hidden', ':1: this is no NAME=value'],
    ['A=1\nB="hidden\n', ':2: the quote of B is never closed'],
    ["B='hidden", ':1: the quote of B is never closed'],
    ['B="hidden"hidden', ':1: something follows the closing quote of B'],
    ['A=1\n\nB=hid$den', ':3: a $ begins what is no name that is defined above; write $$ or use single quotes'],
    ['B=${hidden:-${A}}', ':1: a $ begins'],
    ['A=1\nB="hidden\\0000"', ':2: B holds a NUL, which no variable can'],
    ["B='hidden\0'", ':1: B holds a NUL, which no variable can'],
  ])('has its fault named by line, and no value: %j', async (text, expected) => {
    const error = await secrets(text).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(SecretsFault)
    expect(String(error)).toContain(join(folder, `.env${expected}`))
    expect(String(error)).not.toMatch(/hid|\n/)
  })

  test('may be absent, which doctor says', async () => {
    const none = join(folder, 'none')
    expect(await readSecrets(none)).toEqual(new Map())
    expect((await checkSecrets(none)).is).toBe(
      `${none}: there is no secrets file, so there are no secrets; make it or set GATEWAY_SECRETS`,
    )
  })

  test('is refused when it is a folder, not text, or huge', async () => {
    await expect(readSecrets(folder)).rejects.toThrow(`${folder}: is a folder, not a file; set GATEWAY_SECRETS`)
    await expect(secrets(Buffer.from([0x41, 0x3d, 0xff, 0xfe]))).rejects.toThrow('.env: is not UTF-8 text')
    await expect(secrets('#'.repeat(2 ** 20 + 1))).rejects.toThrow('has 1048577 bytes, allowed are 1048576')
  })

  test('is refused when it may not be read', async () => {
    await writeFile(join(folder, '.env'), 'A=b', { mode: 0 })
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    const reading = readSecrets(join(folder, '.env'))
    await expect(reading.finally(() => isRoot && process.seteuid?.(0))).rejects.toThrow(
      '.env: may not be read by the gateway',
    )
  })
})

describe('a seal', () => {
  test('is the same for the same values, in any order and after a restart', async () => {
    const { hmac } = await sealer(folder)
    const hash = hmac({ A: '1', B: '2' })
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(hmac({ B: '2', A: '1' })).toBe(hash)
    expect((await sealer(folder)).hmac({ A: '1', B: '2' })).toBe(hash)
  })

  test('differs with a value, a name, where one ends, and the key', async () => {
    const { hmac } = await sealer(folder)
    const other = await mkdtemp(join(tmpdir(), 'gateway-secrets-'))
    const elsewhere = await sealer(other)
    await rm(other, { recursive: true })
    const hashes = [
      hmac({ A: '1' }),
      hmac({ A: '2' }),
      hmac({ B: '1' }),
      hmac({}),
      hmac({ A: '1', B: '2' }),
      hmac({ A: '1","B":"2' }),
    ]
    expect(new Set([...hashes, elsewhere.hmac({ A: '1' })]).size).toBe(7)
  })

  test('keeps its key for the owner alone', async () => {
    await sealer(folder)
    const file = join(folder, 'secrets.key')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file)).toHaveLength(32)
    await chmod(file, 0o644)
    await sealer(folder)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('refuses a damaged key', async () => {
    await writeFile(join(folder, 'secrets.key'), 'short')
    await expect(sealer(folder)).rejects.toThrow('secrets.key: is damaged (5 bytes instead of 32); remove it')
  })
})
