import { readFileSync } from 'node:fs'
import { open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreLockedError } from './fileStoreErrors.js'

/** Directories that this process holds: its own pid in a lock file says nothing. */
const held = new Set<string>()

/**
 * Makes this process the only one that uses a directory, until the returned
 * function is called. A lock left by a process that is gone, or from before
 * the last boot, is taken over.
 *
 * @throws {StoreLockedError}
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock')
  if (held.has(path)) throw new StoreLockedError(directory, process.pid)
  held.add(path)
  try {
    await writeLock(path).catch(async (error) => {
      if (error.code !== 'EEXIST') throw error
      const [pid = 0, boot] = (await readFile(path, 'utf8')).split('\n')
      const owner = Number(pid)
      if (boot === bootId() && owner !== process.pid && isAlive(owner))
        throw new StoreLockedError(directory, owner)
      await unlink(path)
      await writeLock(path)
    })
  } catch (error) {
    held.delete(path)
    throw error
  }
  return async () => {
    held.delete(path)
    await unlink(path).catch(() => {})
  }
}

async function writeLock(path: string) {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(`${process.pid}\n${bootId()}\n`)
  } finally {
    await file.close()
  }
}

/** Pids start again after a boot. Only Linux says which boot this is. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
