// Installs npm packages inside this checkout, where they are missing or the lockfile has changed. It runs before there is
// any package, on whichever Node (20 or newer) the caller has; everything else runs on the node@24 that it installs.
//
//   node install.mjs             the packages of the root
//   node install.mjs --servers   and those of each folder of servers/ that has a lockfile
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const lock = join(root, '.gateway', 'install.lock')
const waitForOther = 15 * 60_000

try {
  await main()
} catch (error) {
  console.error(`install: ${error.message}`)
  process.exitCode = 1
}

async function main() {
  const folders = [root, ...(process.argv.includes('--servers') ? serverFolders() : [])]
  if (folders.every(isInstalled)) return
  await takeLock()
  try {
    for (const folder of folders) if (!isInstalled(folder)) install(folder)
  } finally {
    rmSync(lock, { force: true })
  }
}

function serverFolders() {
  const servers = join(root, 'servers')
  const names = existsSync(servers) ? readdirSync(servers) : []
  return names.map((name) => join(servers, name)).filter((folder) => existsSync(join(folder, 'package-lock.json')))
}

/**
 * npm writes its own copy of the lockfile last, so that one that fits is a finished installation; but it writes it even when
 * told to make a lockfile only.
 */
function isInstalled(folder) {
  const wanted = readPackages(join(folder, 'package-lock.json'))
  const present = readPackages(join(folder, 'node_modules', '.package-lock.json'))
  if (wanted === undefined) throw new Error(`${join(folder, 'package-lock.json')} is missing or no lockfile`)
  if (present === undefined || (folder === root && !existsSync(nodeOf(root)))) return false
  const fits = ([path, { version, integrity, optional, devOptional }]) => {
    const found = present[path]
    if (found === undefined) return optional === true || devOptional === true
    return found.version === version && found.integrity === integrity && existsSync(join(folder, path))
  }
  return Object.entries(wanted).every(fits) && Object.keys(present).every((path) => path in wanted)
}

function readPackages(path) {
  try {
    const { '': _root, ...packages } = JSON.parse(readFileSync(path, 'utf8')).packages
    return packages
  } catch {
    return undefined
  }
}

function nodeOf(folder) {
  return join(folder, 'node_modules', '.bin', 'node')
}

function install(folder) {
  const name = relative(root, folder) || 'this checkout'
  console.error(`installing the npm packages of ${name} …`)
  // Named, because an `npm --prefix` that called us would otherwise be obeyed here too.
  const args = ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const [program, ...before] = npm
  const done = spawnSync(program, [...before, ...args], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (done.error) throw new Error(`npm does not start: ${done.error.message}`)
  if (done.status !== 0) throw new Error(`npm ci failed in ${folder}\n${done.stdout}${done.stderr}`.trimEnd())
  if (folder === root && !existsSync(nodeOf(root)))
    throw new Error('npm ran no install scripts, so node@24 is missing: npm rebuild node --ignore-scripts=false')
}

async function takeLock() {
  mkdirSync(dirname(lock), { recursive: true })
  const end = Date.now() + waitForOther
  while (!tryLock()) {
    if (Date.now() > end) throw new Error(`another installation still runs (${lock})`)
    await sleep(250)
  }
}

function tryLock() {
  const own = `${lock}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, lock)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    removeIfDead()
    return false
  } finally {
    rmSync(own, { force: true })
  }
}

/** What is moved away can only be one file; if it became another's meanwhile, it is put back. */
function removeIfDead() {
  if (isAlive(readPid(lock))) return
  const aside = `${lock}.${process.pid}.dead`
  try {
    renameSync(lock, aside)
    if (isAlive(readPid(aside))) linkSync(aside, lock)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

function readPid(path) {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return 0
  }
}

function isAlive(pid) {
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
