import { expect, onTestFinished, test, vi } from 'vitest'
import { StderrLog } from '../../stdio/log.ts'
import { readSettings } from '../../stdio/settings.ts'

/** What is logged of a program that writes these bytes to stderr, cut into pieces of a size. */
function logged(text: string, size: number): string {
  const settings = readSettings(['--secrets', 'SECRET', '--', 'program'], { PORT: '1', SECRET: 'grüße-mir-niemanden' })
  const said: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((line) => {
    said.push(String(line))
    return true
  })
  onTestFinished(() => write.mockRestore())
  const log = new StderrLog(settings, '[1]')
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) log.take(bytes.subarray(at, at + size))
  log.end()
  return said.join('')
}

test('logs what a program says, wherever its bytes are cut, and no secret of it', () => {
  const text = 'schöne Grüße €\nmit grüße-mir-niemanden\nam Ende ä'
  for (let size = 1; size < 20; size++)
    expect(logged(text, size)).toBe('[1] schöne Grüße €\n[1] mit [SECRET]\n[1] am Ende ä\n')
})

test('logs no part of a secret where a line is cut because it is too long', () => {
  for (const before of [4_080, 4_090, 4_096]) {
    const said = logged(`${'x'.repeat(before)}grüße-mir-niemanden${'y'.repeat(20_000)}\n`, 1_000)
    expect(said).not.toContain('grü')
    expect(said.length).toBeLessThan(4_200)
  }
})
