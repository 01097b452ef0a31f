import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, readdir, rename, rmdir, unlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { StoreLockedError } from './fileStoreErrors.js'
import { isDiskFull } from './isDiskFull.js'

/**
 * Makes this process the only one that uses a directory, until the returned
 * function is called. A lock left by a process that is gone is taken over.
 *
 * The lock is a folder `lock` with one entry, named after its holder and a
 * nonce. It comes into place by a rename, which fails while there is a folder
 * that is not empty; a stale holder's entry is removed by its name, which
 * cannot hit the lock of whoever came first. So of all that try, one has it.
 *
 * The entry is a Unix socket on which the holder listens: the kernel knows
 * whether it lives, across reboots, reused pids and the pid namespaces of
 * containers that share a volume. Where a socket cannot be had (Windows, FAT)
 * the entry is an empty file, and the pid in its name decides.
 *
 * A folder takes room, and a store must open on a disk that has none: so there
 * is a second one, `lock.spare`, from the first lock on. Who has no other takes
 * that, by a rename too, and every lock that is let go becomes it.
 *
 * Not protected: machines that share the directory over a network, and
 * containers where there are no sockets.
 *
 * @throws {StoreLockedError}
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock')
  const name = `${process.pid}-${randomUUID()}`
  const fresh = `${path}.${name}`
  const spare = `${path}.spare`
  await mkdir(fresh, { mode: 0o700 }).catch(async (error) => {
    if (!isDiskFull(error)) throw error
    await rename(spare, fresh).catch(async () => {
      // Who holds the lock is told; what a dead holder left takes the room that is needed.
      await clear(path, directory)
      await mkdir(fresh, { mode: 0o700 })
    })
  })
  const server = await listen(fresh, name)
  try {
    if (server === undefined) await writeFile(join(fresh, name), '')
    while (!(await put(fresh, path))) await clear(path, directory)
  } catch (error) {
    server?.close()
    await putAway(fresh, name, spare)
    throw error
  }
  // On a disk that is full there is none to put by: the lock is held all the same.
  await mkdir(spare, { mode: 0o700 }).catch(() => {})
  return async () => {
    await rename(path, fresh).catch(() => {})
    await putAway(fresh, name, spare)
    server?.close()
  }
}

/** A folder that is nobody's any more is the spare one. */
async function putAway(folder: string, name: string, spare: string) {
  await unlink(join(folder, name)).catch(() => {})
  await rename(folder, spare).catch(() => rmdir(folder).catch(() => {}))
}

/** Whether the folder is in place; false where another one is. */
async function put(fresh: string, path: string): Promise<boolean> {
  try {
    await rename(fresh, path)
    return true
  } catch (error) {
    const taken = ['ENOTEMPTY', 'EEXIST']
    // Windows says no more than that it may not.
    if (process.platform === 'win32' && (await isThere(path))) taken.push('EPERM', 'EACCES')
    if (taken.includes(codeOf(error))) return false
    throw error
  }
}

/** Removes what dead holders left. */
async function clear(path: string, directory: string) {
  const names = await readdir(path).catch(ignore('ENOENT'))
  for (const name of names ?? [])
    if (await isHeld(path, name)) throw new StoreLockedError(directory, Number.parseInt(name, 10))
  for (const name of names ?? []) await unlink(join(path, name)).catch(ignore('ENOENT'))
  await rmdir(path).catch(ignore('ENOENT', 'ENOTEMPTY', 'EEXIST'))
}

async function isHeld(path: string, name: string): Promise<boolean> {
  const stats = await lstat(join(path, name)).catch(ignore('ENOENT'))
  if (stats === undefined) return false
  if (!stats.isSocket()) return isAlive(Number.parseInt(name, 10))
  const listened = await atSocket(path, name, (address) => {
    return new Promise<boolean>((resolve) => {
      const socket = connect(address)
      const settle = (held: boolean) => {
        socket.destroy()
        resolve(held)
      }
      socket.once('connect', () => settle(true))
      // Anything else (no permission, a queue that is full) says that somebody is there.
      socket.once('error', (error) => settle(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))))
    })
  }).catch(ignore('ENOENT'))
  return listened === true
}

/** Listens on a socket in a folder; `undefined` where that cannot be. */
async function listen(folder: string, name: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy())
  try {
    await atSocket(folder, name, (path) => {
      return new Promise<void>((resolve, reject) => {
        server.on('error', reject)
        // Exclusive: a cluster's worker would have its primary listen.
        server.listen({ exclusive: true, path }, resolve)
      })
    })
    return server.unref()
  } catch {
    return undefined
  }
}

/** Calls `use` with a path of a socket that is short enough for one: the system cuts longer ones off. */
async function atSocket<value>(
  folder: string,
  name: string,
  use: (path: string) => Promise<value>,
): Promise<value> {
  const path = join(folder, name)
  if (Buffer.byteLength(path) <= maxSocketPathBytes) return use(path)
  if (process.platform !== 'linux') throw new Error('The path is too long for a socket.')
  const handle = await open(folder, 'r')
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`)
  } finally {
    await handle.close()
  }
}

/** Of `sun_path`: 104 bytes on macOS, 108 on Linux, with a zero at the end. */
const maxSocketPathBytes = 103

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

function ignore(...codes: readonly string[]) {
  return (error: unknown): undefined => {
    if (!codes.includes(codeOf(error))) throw error
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}
