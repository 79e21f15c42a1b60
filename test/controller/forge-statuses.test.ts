import { describe, expect, test } from 'vitest'
import type { CommitStatus } from '#manifests/status.ts'
import { statusesOf } from '../../controller/forge/statuses.ts'
import { commitStatus } from '../support/controller.ts'

const sha = 'a'.repeat(40)
const plan = ['+/- wiki   build input changed: servers/wiki/main.ts', '1 to build, 1 to replace, 0 to remove']

function shown(fields: Partial<CommitStatus>): readonly string[] {
  return statusesOf(commitStatus(sha, { plan, changed: ['wiki'], ...fields })).map(
    ({ context, state, description }) => `${context} ${state}: ${description}`,
  )
}

describe('what the forge shows of a commit', () => {
  test('is nothing while it is merely seen', () => {
    expect(shown({ phase: 'seen' })).toEqual([])
    expect(shown({ phase: 'verified' })).toEqual([])
  })

  test('is pending while it is planned and applied, in the same words', () => {
    const pending = [
      'gateway/deploy pending: 1 to build, 1 to replace, 0 to remove',
      'gateway/grants pending: what it takes away is gone; what it grants waits for its servers',
      'gateway/deploy/wiki pending: +/- wiki build input changed: servers/wiki/main.ts',
    ]
    expect(shown({ phase: 'planned' })).toEqual(pending)
    const servers = { wiki: { phase: 'deploying', reason: 'builds' } } as const
    expect(shown({ phase: 'applying', reason: 'deploying wiki', grants: 'waiting', servers })).toEqual(pending)
  })

  test('is success for grants that are in force before a build has ended', () => {
    const servers = { wiki: { phase: 'deploying', reason: 'builds' } } as const
    expect(shown({ phase: 'applying', grants: 'published', servers })).toContain(
      'gateway/grants success: in force at every proxy',
    )
  })

  test('is success once it is applied', () => {
    expect(shown({ phase: 'applied', reason: 'everything is as the commit says' })).toEqual([
      'gateway/deploy success: everything is as the commit says',
      'gateway/grants success: in force at every proxy',
      'gateway/deploy/wiki success: as the commit says',
    ])
  })

  test('is failure for what its author must put right', () => {
    const servers = { wiki: { phase: 'stalled', reason: 'its build failed' } } as const
    expect(shown({ phase: 'degraded', reason: 'wiki is not as the commit says', servers, grants: 'waiting' })).toEqual([
      'gateway/deploy failure: wiki is not as the commit says',
      'gateway/grants warning: what is granted on servers that are not ready waits for them',
      'gateway/deploy/wiki failure: its build failed',
    ])
    const errors = ['manifests/servers/wiki.yaml:2:1 unknown key', 'another']
    expect(shown({ phase: 'rejected', errors, changed: [], plan: [] })).toEqual([
      'gateway/deploy failure: manifests/servers/wiki.yaml:2:1 unknown key',
      'gateway/grants failure: only what it takes away is in force: manifests/servers/wiki.yaml:2:1 unknown key',
    ])
  })

  test('is error for what is ours, and tried again', () => {
    const servers = { wiki: { phase: 'deploying', reason: 'tried again: the disk is full' } } as const
    expect(shown({ phase: 'applying', reason: 'no proxy runs: the port is taken', servers })).toEqual([
      'gateway/deploy error: no proxy runs: the port is taken',
      expect.stringContaining('gateway/grants pending'),
      'gateway/deploy/wiki error: tried again: the disk is full',
    ])
  })

  test('is warning for what is held or lacks something of the machine', () => {
    const servers = { wiki: { phase: 'waiting', reason: 'the secret KEY is missing' } } as const
    expect(shown({ phase: 'degraded', reason: 'r', servers, grants: 'published' })).toEqual([
      'gateway/deploy warning: r',
      'gateway/grants success: in force at every proxy',
      'gateway/deploy/wiki warning: the secret KEY is missing',
    ])
    expect(shown({ phase: 'held', reason: 'waits for approval', changed: [] })).toEqual([
      'gateway/deploy warning: waits for approval',
      'gateway/grants warning: waits for approval',
    ])
  })

  test('is warning for what an operator has rolled back', () => {
    const servers = { wiki: { phase: 'ready', reason: 'rolled back to aaa, until its next change' } } as const
    const reason = 'all but wiki, rolled back on the machine, is as the commit says'
    expect(shown({ phase: 'applied', reason, servers })).toEqual([
      `gateway/deploy warning: ${reason}`,
      'gateway/grants success: in force at every proxy',
      'gateway/deploy/wiki warning: rolled back to aaa, until its next change',
    ])
  })

  test('is neither good nor failed for a commit that was overtaken', () => {
    expect(
      shown({ phase: 'superseded', reason: 'superseded by bbb' }).every((line) =>
        / warning: superseded by bbb$/.test(line),
      ),
    ).toBe(true)
  })

  test('does not go back for a server that is healed later', () => {
    const servers = { wiki: { phase: 'deploying', reason: 'queued' } } as const
    expect(shown({ phase: 'applied', servers }).join()).not.toContain('gateway/deploy/wiki')
  })

  test('leaves out the servers where there are more than anybody reads', () => {
    const changed = Array.from({ length: 101 }, (_, n) => `s${n}`)
    expect(shown({ phase: 'applied', changed })).toHaveLength(2)
    expect(shown({ phase: 'applied', changed: changed.slice(1) })).toHaveLength(102)
  })

  test('is one line of at most 140 letters', () => {
    const [deploy] = statusesOf(commitStatus(sha, { phase: 'applied', reason: `a\nb ${'x'.repeat(200)}` }))
    expect(deploy?.description).toHaveLength(140)
    expect(deploy?.description).toMatch(/^a b x+…$/)
  })
})
