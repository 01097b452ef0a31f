import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

type Files = typeof import('node:fs/promises')

type Change =
  | { type: 'create' | 'unlink'; name: string }
  | { type: 'write'; name: string; at: number; bytes: Uint8Array }
  | { type: 'truncate'; name: string; length: number }
  /** Contents of a file, or the names in the directory, are on the disk from here on. */
  | { type: 'sync'; name: string }

/**
 * What happens between a program and a disk, for one directory: remembers
 * every change, and which of them were synced; refuses as a full disk or a
 * failing one would; and makes what a power cut may leave.
 */
export function createDisk() {
  let directory: string | undefined
  const changes: Change[] = []
  const disk = {
    /** `ENOSPC`: half of a write fits. `EIO`: what was written may be there, but no sync says so. */
    refuses: undefined as 'EIO' | 'ENOSPC' | undefined,
    changes,
    watch(path: string) {
      directory = path
    },
    /** The module, with an eye on the directory. */
    wrap(files: Files): Files {
      const nameOf = (path: unknown) => {
        if (path === directory) return '.'
        const inside = directory !== undefined && String(path).startsWith(`${directory}/`)
        return inside && String(path).endsWith('.segment') ? basename(String(path)) : undefined
      }
      const open: Files['open'] = async (path, flags, mode) => {
        const name = nameOf(path)
        if (name === undefined) return files.open(path, flags, mode)
        const file = await files.open(path, flags, mode)
        if (flags === 'ax') changes.push({ type: 'create', name })
        let end = (await file.stat()).size
        const write = file.write.bind(file) as (
          ...args: unknown[]
        ) => Promise<{ bytesWritten: number }>
        const sync = async () => {
          if (disk.refuses === 'EIO') throw Object.assign(new Error('EIO'), { code: 'EIO' })
          changes.push({ type: 'sync', name })
        }
        const truncate = file.truncate.bind(file)
        return Object.assign(file, {
          async write(bytes: Uint8Array, offset: number, length: number) {
            const full = disk.refuses === 'ENOSPC'
            const part = bytes.slice(offset, offset + (full ? length >> 1 : length))
            await write(part, 0, part.length, null)
            changes.push({ type: 'write', name, at: end, bytes: part })
            end += part.length
            if (full) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
            return { bytesWritten: part.length }
          },
          datasync: sync,
          sync,
          async truncate(length: number) {
            await truncate(length)
            changes.push({ type: 'truncate', name, length })
            end = length
          },
        })
      }
      const truncate: Files['truncate'] = async (path, length = 0) => {
        await files.truncate(path, length)
        const name = nameOf(path)
        if (name !== undefined) changes.push({ type: 'truncate', name, length: length ?? 0 })
      }
      const unlink: Files['unlink'] = async (path) => {
        await files.unlink(path)
        const name = nameOf(path)
        if (name !== undefined) changes.push({ type: 'unlink', name })
      }
      return { ...files, open, truncate, unlink }
    },
    /**
     * Writes what may be left when the power fails after `count` changes: all that was synced, and
     * of the rest what `random` says, writes in pieces of `sector` bytes.
     */
    async cut(path: string, count: number, random: () => number, sector = 64) {
      const names = new Set<string>()
      const contents = new Map<string, Buffer>()
      const done = changes.slice(0, count)
      const isSynced = (at: number, name: string) =>
        done.some((change, i) => i > at && change.type === 'sync' && change.name === name)
      const luck = ['none', 'all', 'some'][Math.floor(3 * random())]
      const survives = () => luck === 'all' || (luck === 'some' && random() < 0.5)
      for (const [i, change] of done.entries()) {
        const { name, type } = change
        const content = contents.get(name) ?? Buffer.alloc(0)
        if (type === 'create' && (isSynced(i, '.') || survives())) names.add(name)
        else if (type === 'unlink' && (isSynced(i, '.') || survives())) names.delete(name)
        else if (type === 'truncate' && (isSynced(i, name) || survives()))
          contents.set(name, content.subarray(0, change.length))
        else if (type === 'write') {
          const { at, bytes } = change
          const synced = isSynced(i, name)
          let grown = content
          for (let from = 0; from < bytes.length; from += sector) {
            if (!synced && !survives()) continue
            const piece = bytes.subarray(from, from + sector)
            const end = at + from + piece.length
            if (grown.length < end) grown = Buffer.concat([grown, Buffer.alloc(end - grown.length)])
            else grown = Buffer.from(grown)
            grown.set(piece, at + from)
          }
          // A file may have its length before its content.
          const length = at + bytes.length
          if (!synced && grown.length < length && survives())
            grown = Buffer.concat([grown, Buffer.alloc(length - grown.length)])
          contents.set(name, grown)
        }
      }
      await mkdir(path, { recursive: true })
      for (const name of names)
        await writeFile(join(path, name), contents.get(name) ?? new Uint8Array())
    },
  }
  return disk
}
