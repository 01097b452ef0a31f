import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const path = '/usr/sbin/mosquitto'

/** Why there is no Mosquitto here, if so. */
export const mosquittoMissing =
  existsSync(path) || process.env.CI ? undefined : 'needs the Debian package mosquitto'

/** A broker that is not ours, on a free port; it forgets everything with its process. */
export async function startMosquitto(lines: readonly string[] = []): Promise<Mosquitto> {
  const folder = mkdtempSync(join(tmpdir(), 'mosquitto-'))
  const port = await findPort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(
    file,
    [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'user root', ...lines, ''].join('\n'),
  )
  const child: ChildProcess = spawn(path, ['-c', file], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  while (!(await isListening(port))) {
    if (child.exitCode !== null) throw new Error('Mosquitto does not start.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async close() {
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { force: true, recursive: true })
    },
  }
}

export type Mosquitto = { port: number; url: string; close(): Promise<void> }

function findPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
