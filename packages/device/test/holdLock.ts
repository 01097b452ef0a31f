import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { lockDirectory } from '../src/stores/lockDirectory.js'

/**
 * A process for tests of the lock.
 *
 * `hold`: takes the lock and keeps it. `contend`: takes it as often as it can,
 * and dies with it after some turns; two at a time in between would be told by
 * a file that must not be there.
 */
const [directory = '', mode, pid] = process.argv.slice(2)
if (pid !== undefined) Object.defineProperty(process, 'pid', { value: Number(pid) })

if (mode === 'hold') {
  await lockDirectory(directory).then(
    () => process.stdout.write(`held by ${process.pid}\n`),
    (error) => process.stdout.write(`${error.name}\n`),
  )
  setInterval(() => {}, 1000)
} else {
  for (let turns = 0; turns < 5; ) {
    const unlock = await lockDirectory(directory).catch((error) => {
      if (error.name !== 'StoreLockedError') throw error
    })
    if (unlock === undefined) continue
    const path = join(directory, 'alone')
    const file = await open(path, 'wx')
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
    await file.close()
    await unlink(path)
    if (++turns < 5) await unlock()
  }
  process.kill(process.pid, 'SIGKILL')
}
