import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { plainText } from '../../controller/docker/log.ts'
import { progressLines } from '../../controller/docker/progress.ts'
import { freeSubnet } from '../../controller/docker/subnet.ts'
import { packTar } from '../../controller/docker/tar.ts'
import { ownerOf, userOf } from '../../controller/docker/user.ts'
import { firstHeader } from '../../controller/docker/volume.ts'
import type { BuildEntry } from '../../controller/host.ts'

describe('a free range of addresses', () => {
  const network = (...subnets: readonly string[]) => ({
    Id: '',
    Name: '',
    Internal: false,
    IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) },
  })

  test.each([
    ['the first one', [], '10.213.0.0/28'],
    ['behind those that are taken', [network('10.213.0.0/28', '10.213.0.16/28')], '10.213.0.32/28'],
    ['in a gap', [network('10.213.0.0/28'), network('10.213.0.32/28')], '10.213.0.16/28'],
    ['beside larger ones', [network('10.213.0.0/24')], '10.213.1.0/28'],
    ['beside smaller ones', [network('10.213.0.8/30')], '10.213.0.16/28'],
    ['with eyes for IPv4 alone', [network('fd00::/64')], '10.213.0.0/28'],
    ['not, where a larger one has all', [network('10.0.0.0/8')], undefined],
  ])('is found %s', (_, networks, subnet) => {
    expect(freeSubnet('10.213.0.0/16', networks)).toBe(subnet)
  })

  test('is found behind those that the engine refused', () => {
    expect(freeSubnet('10.213.0.0/16', [network('10.213.0.0/28')], ['10.213.0.16/28'])).toBe('10.213.0.32/28')
  })

  test('ends with its pool', () => {
    expect(freeSubnet('10.213.0.16/28', [])).toBe('10.213.0.16/28')
    expect(freeSubnet('10.213.0.16/28', [network('10.213.0.16/28')])).toBeUndefined()
  })

  test('is not cut from what is no range', () => {
    expect(() => freeSubnet('10.213', [])).toThrow('GATEWAY_SUBNETS: "10.213" is not an IPv4 range')
  })
})

describe('the user of a container', () => {
  test.each([
    [undefined, '', '10001:10001'],
    [undefined, 'root', '10001:10001'],
    [undefined, '0:0', '10001:10001'],
    [undefined, 'node', 'node'],
    [undefined, '1000', '1000'],
    ['0', 'node', '0'],
    ['4711', 'root', '4711'],
  ])('is, where the manifest says %s and the image %s, %s', (wished, image, user) => {
    expect(userOf(wished, image)).toBe(user)
  })

  const passwd = 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n'
  const group = 'root:x:0:\nstaff:x:50:node\n'
  test.each([
    ['node', { uid: 1000, gid: 1001 }],
    ['1000', { uid: 1000, gid: 1001 }],
    ['4711', { uid: 4711, gid: 0 }],
    ['node:staff', { uid: 1000, gid: 50 }],
    ['4711:4712', { uid: 4711, gid: 4712 }],
  ])('%s owns its volumes', (user, owner) => {
    expect(ownerOf(user, passwd, group)).toEqual(owner)
  })

  test('is refused where the image does not know it', () => {
    expect(() => ownerOf('nobody', passwd, group)).toThrow('user "nobody" is not in /etc/passwd of the image')
    expect(() => ownerOf('node:none', passwd, group)).toThrow('group "none" is not in /etc/group of the image')
  })
})

describe('a build context', () => {
  const file = (path: string, mode = '100644', body = path): BuildEntry => ({ path, mode, body: Buffer.from(body) })
  async function* entries(...all: readonly BuildEntry[]) {
    yield* all
  }

  test('is the same to the byte at any time, folders first', async () => {
    const files = [file('a/b/c'), file('a/run', '100755'), file('link', '120000', 'a/run')]
    const pack = () => text(packTar(entries(...files), [file('extra')]))
    expect(await pack()).toBe(await pack())
    const seen = []
    for await (const entry of packTar(entries(...files), [file('extra')]).pipe(extract())) {
      const { name, mode, uid, gid, mtime, type, linkname } = entry.header
      seen.push(
        `${type} ${name} ${mode.toString(8)} ${uid} ${gid} ${mtime.getTime()} ${linkname ?? (await text(entry))}`,
      )
      entry.resume()
    }
    expect(seen).toEqual([
      'directory a/ 755 0 0 0 ',
      'directory a/b/ 755 0 0 0 ',
      'file a/b/c 644 0 0 0 a/b/c',
      'file a/run 755 0 0 0 a/run',
      'symlink link 777 0 0 0 a/run',
      'file extra 644 0 0 0 extra',
    ])
  })

  test('is read no faster than it is taken', async () => {
    let asked = 0
    async function* many() {
      for (; asked < 1_000; asked++) yield file(`f${asked}`, '100644', 'x'.repeat(100_000))
    }
    const tar = packTar(many())
    await tar[Symbol.asyncIterator]().next()
    expect(asked).toBeLessThan(20)
    tar.destroy()
  })

  test('ends with the error of its source', async () => {
    async function* broken() {
      yield file('a')
      throw new Error('object is missing')
    }
    await expect(text(packTar(broken()))).rejects.toThrow('object is missing')
  })
})

describe('a path that the engine sends', () => {
  test('is an error where it breaks off', async () => {
    const broken = new PassThrough()
    const header = firstHeader(broken)
    broken.destroy(new Error('the engine hung up'))
    await expect(header).rejects.toThrow('the engine hung up')
  })

  test('is let go of once its first entry was read', async () => {
    async function* large() {
      for (const path of ['first', 'second']) yield { path, mode: '100644', body: Buffer.alloc(2 ** 20) }
    }
    const tar = packTar(large())
    expect((await firstHeader(tar))?.name).toBe('first')
    await expect.poll(() => tar.destroyed).toBe(true)
  })
})

describe('what the engine says', () => {
  const base64 = (line: string) => Buffer.from(line).toString('base64')
  test.each([
    [{ stream: '[sha256:0a1b2] [2/3] RUN npm ci\n' }, ['[2/3] RUN npm ci']],
    [{ stream: `${base64('added 3 packages\nfound 0\n')}\n` }, ['added 3 packages', 'found 0']],
    [{ stream: 'transferring: 50% (1/2)\n' }, []],
    [{ status: 'Pulling fs layer', id: 'x' }, ['Pulling fs layer']],
    [{ aux: { ID: 'sha256:0' } }, []],
  ])('is told in lines: %j', (event, lines) => {
    expect(progressLines(event)).toEqual({ lines })
  })

  test('is an error where it is one', () => {
    expect(progressLines({ error: 'a', errorDetail: { message: 'exit code: 3' } })).toEqual({
      lines: [],
      error: 'exit code: 3',
    })
  })

  test('is plain text without its frames', () => {
    const frame = (body: string) => {
      const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
      head.writeUInt32BE(Buffer.byteLength(body), 4)
      return Buffer.concat([head, Buffer.from(body)])
    }
    expect(plainText(Buffer.concat([frame('eins\n'), frame('zwei ü\n'), Buffer.from([1, 0])]))).toBe('eins\nzwei ü\n')
  })
})
