// Installs npm packages inside this checkout, where they are missing or the lockfile has changed. It runs before there is
// any package, on whichever Node (20 or newer) the caller has; everything else runs on the node@24 that it installs.
//
//   node install.mjs             the packages of the root
//   node install.mjs --servers   and those of each folder of servers/ that has a lockfile
import { spawn } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const lock = join(root, '.gateway', 'install.lock')
const waitForOther = 15 * 60_000
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']

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
    for (const folder of folders) if (!isInstalled(folder)) await install(folder)
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

async function install(folder) {
  const name = relative(root, folder) || 'this checkout'
  console.error(`installing the npm packages of ${name} …`)
  // Named, because an `npm --prefix` that called us would otherwise be obeyed here too.
  const args = ['ci', '--prefix', folder, '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const scripts = folder === root ? [] : ['--ignore-scripts']
  const { code, output } = await runNpm([...args, ...scripts], folder)
  if (code !== 0) throw new Error(`npm ci failed in ${folder}\n${output}`.trimEnd())
  if (folder === root && !existsSync(nodeOf(root)))
    throw new Error('npm ran no install scripts, so node@24 is missing: npm rebuild node --ignore-scripts=false')
}

/** npm does not always end on Ctrl-C, and would go on beside the next installation: it gets a group of its own, which we end. */
async function runNpm(args, folder) {
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const [program, ...before] = npm
  const end = () => {
    killGroup(child.pid)
    rmSync(lock, { force: true })
    process.exit(130)
  }
  for (const signal of signals) process.on(signal, end)
  const child = spawn(program, [...before, ...args], { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const failed = new Promise((_, reject) => child.once('error', reject))
  const closed = new Promise((done) => child.once('close', done))
  if (child.pid !== undefined) writeLock(child.pid)
  try {
    const [code, ...output] = await Promise.race([
      Promise.all([closed, text(child.stdout), text(child.stderr)]),
      failed,
    ])
    return { code, output: output.join('') }
  } catch (error) {
    throw new Error(`npm does not start: ${error.message}`)
  } finally {
    for (const signal of signals) process.off(signal, end)
  }
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** Whoever reads it meanwhile sees the one or the other. */
function writeLock(npm) {
  const own = `${lock}.${process.pid}`
  writeFileSync(own, `${process.pid} ${npm}`)
  renameSync(own, lock)
}

async function takeLock() {
  mkdirSync(dirname(lock), { recursive: true })
  const end = Date.now() + waitForOther
  for (let told = false; !tryLock(); told ||= isHeld(lock)) {
    if (!told && isHeld(lock)) console.error('waiting for another installation in this checkout …')
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
  if (isHeld(lock)) return
  const aside = `${lock}.${process.pid}.dead`
  try {
    renameSync(lock, aside)
    if (isHeld(aside)) linkSync(aside, lock)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/** By an installation, or by the npm of one that was killed. */
function isHeld(path) {
  try {
    return readFileSync(path, 'utf8').split(' ').map(Number).some(isAlive)
  } catch {
    return false
  }
}

function isAlive(pid) {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
