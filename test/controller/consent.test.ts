import { expect, test } from 'vitest'
import { consentTo, type Review } from '../../controller/consent.ts'

const pull = (more: Partial<Extract<Review, { kind: 'pull' }>> = {}): Review => ({
  ...{ kind: 'pull', number: 7, approvals: 1, rejections: 0 },
  ...more,
})

test.each<[string, readonly Review[], string | undefined]>([
  ['enough approvals', [pull()], undefined],
  ['too few', [pull({ approvals: 0 })], 'pull request 7 has 0 of 1 approvals'],
  ['a rejection, whatever else', [pull({ approvals: 3, rejections: 1 })], 'pull request 7 has a rejecting review'],
  ['no pull request', [{ kind: 'none' }], 'no merged pull request brought aaaaaaaaaaaa'],
  [
    'what is not known yet',
    [{ kind: 'unknown', because: 'the forge was not asked yet' }],
    'the forge was not asked yet',
  ],
  ['one of several', [pull(), { kind: 'none' }, pull()], 'no merged pull request brought bbbbbbbbbbbb'],
])('hears of %s', (_, reviews, because) => {
  const commits = reviews.map((_, at) => 'abc'.charAt(at).repeat(40))
  const said = consentTo(commits, 1, (commit) => reviews[commits.indexOf(commit)] ?? { kind: 'none' })
  expect(said).toEqual(because === undefined ? { given: true } : { given: false, because })
})

test('asks for no approval where none is wanted, and yet for a pull request', () => {
  expect(consentTo(['a'], 0, () => pull({ approvals: 0 }))).toEqual({ given: true })
  expect(consentTo(['a'], 0, () => ({ kind: 'none' }))).toMatchObject({ given: false })
})
