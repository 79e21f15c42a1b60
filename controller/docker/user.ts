export interface Owner {
  readonly uid: number
  readonly gid: number
}

const nobody = '10001:10001'

/** The user that a server runs as: what its manifest says, else what its image says, but never root by default. */
export function userOf(wished: string | undefined, imageUser: string): string {
  if (wished !== undefined) return wished
  return ['', '0', 'root'].includes(imageUser.split(':')[0] ?? '') ? nobody : imageUser
}

/** Which ids `name`, `uid`, `name:group` or `uid:gid` is in an image with these files; root's group where none is known. */
export function ownerOf(user: string, passwd: string, group: string): Owner {
  const [name = '', of] = user.split(':')
  const account = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find((line) => line[0] === name || line[2] === name)
  const uid = idOf(name, account?.[2], `user "${name}" is not in /etc/passwd of the image`)
  if (of === undefined) return { uid, gid: Number(account?.[3] ?? 0) }
  const circle = group
    .split('\n')
    .map((line) => line.split(':'))
    .find((line) => line[0] === of || line[2] === of)
  return { uid, gid: idOf(of, circle?.[2], `group "${of}" is not in /etc/group of the image`) }
}

function idOf(name: string, found: string | undefined, otherwise: string): number {
  if (/^\d+$/.test(name)) return Number(name)
  if (found === undefined) throw new Error(otherwise)
  return Number(found)
}
