import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { Pull, Review } from '../../controller/forge/answers.ts'
import { openConsents } from '../../controller/forge/consent.ts'
import { ForgeDown } from '../../controller/forge/fault.ts'
import { consentOf, opinionOf } from '../../controller/forge/reviews.ts'
import { createWire } from '../../controller/wire.ts'
import { until } from '../support/until.ts'

const head = 'a'.repeat(40)
const merge = 'b'.repeat(40)

const pull: Pull = {
  ...{ number: 7, title: '', author: 'alice', state: 'closed', draft: false, head, fork: false, merged: true },
  ...{ base: { branch: 'main', tip: '' }, mergeCommit: merge, mergedBy: 'alice', url: '', updated: '' },
}

let ids = 0
function review(author: string, state: string, more: Partial<Review> = {}): Review {
  return {
    id: ++ids,
    author,
    state,
    commit: head,
    official: true,
    dismissed: false,
    stale: false,
    submitted: '',
    ...more,
  }
}

describe('the opinion of others', () => {
  test.each<[string, readonly Review[], readonly string[], readonly string[]]>([
    ['counts approvals of the head', [review('bob', 'APPROVED')], ['bob'], []],
    ['does not count the author', [review('alice', 'APPROVED')], [], []],
    ['does not count who may only read', [review('bob', 'APPROVED', { official: false })], [], []],
    ['does not count what was dismissed', [review('bob', 'REQUEST_CHANGES', { dismissed: true })], [], []],
    [
      'does not count an approval of an older head',
      [review('bob', 'APPROVED', { commit: merge, stale: true })],
      [],
      [],
    ],
    ['lets a rejection of an older head stand', [review('bob', 'REQUEST_CHANGES', { stale: true })], [], ['bob']],
    ['takes the last word', [review('bob', 'APPROVED'), review('bob', 'REQUEST_CHANGES')], [], ['bob']],
    ['takes a comment for no word', [review('bob', 'APPROVED'), review('bob', 'COMMENT')], ['bob'], []],
    ['counts each once', [review('bob', 'APPROVED'), review('bob', 'APPROVED')], ['bob'], []],
  ])('%s', (_, reviews, approvals, rejections) => {
    expect(opinionOf(pull, reviews)).toMatchObject({ approvals, rejections })
  })

  test('says what is missing', () => {
    const opinion = { number: 7, author: 'alice', approvals: ['bob'], rejections: [] }
    expect(consentOf(opinion, 1)).toEqual({ given: true })
    expect(consentOf(opinion, 2)).toMatchObject({
      because: 'pull request 7 needs 1 more approval by someone else than alice',
    })
    expect(consentOf({ ...opinion, rejections: ['eve'] }, 0)).toMatchObject({
      because: 'eve requests changes of pull request 7',
    })
  })
})

describe('consent to commits', () => {
  test('is asked for in the background, again until it suffices, and asks for a pass when it changes', async () => {
    const said: { reviews: Review[] | undefined } = { reviews: undefined }
    let changes = 0
    let asked = 0
    const hints = createWire<number>()
    await using consents = openConsents({
      forge: {
        pullOfCommit: async (sha) => (sha === merge ? pull : undefined),
        async reviews() {
          asked++
          if (said.reviews === undefined) throw new ForgeDown('the forge does not answer: it sleeps')
          return said.reviews
        },
      },
      ...{ branch: 'main', hints, log: pino({ level: 'silent' }), onChange: () => changes++, every: 20 },
    })
    const ask = () => consents.consent([merge], 1)
    expect(ask()).toMatchObject({ given: false, because: expect.stringContaining('is not known yet') })
    await until('it is told that the forge sleeps', () => JSON.stringify(ask()).includes('it sleeps'))
    said.reviews = []
    await until('it is told what is missing', () => JSON.stringify(ask()).includes('needs 1 more approval'))
    said.reviews = [review('bob', 'APPROVED')]
    expect([consents.standing(merge), consents.standing('c'.repeat(40))]).toMatchObject([
      { given: false },
      { given: true },
    ])
    await until('there is consent', () => ask().given)
    expect(consents.standing(merge)).toEqual({ given: true })
    expect(changes).toBe(3)
    const before = asked
    await new Promise((done) => setTimeout(done, 100))
    expect(asked).toBe(before)
    expect(consents.consent(['c'.repeat(40), merge], 1).given).toBe(false)
    await until('a commit of its own is none', () =>
      JSON.stringify(consents.consent(['c'.repeat(40), merge], 1)).includes('came by no pull request'),
    )
  })
})
