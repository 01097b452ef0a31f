import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findMissing, pkcs11js } from './findMissing.js'

export const swtpmMissing = findMissing({
  '/usr/bin/swtpm': 'Debian’s swtpm',
  '/usr/bin/tpm2_shutdown': 'Debian’s tpm2-tools',
  [`/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/libtpm2_pkcs11.so.1`]:
    'Debian’s libtpm2-pkcs11-1',
  ...pkcs11js,
})

/** A TPM 2.0 in software, and the variables by which the PKCS#11 module finds it. */
export async function startSwtpm() {
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-swtpm-'))
  const socket = join(folder, 'socket')
  for (const name of ['state', 'store']) mkdirSync(join(folder, name))
  const tcti = `swtpm:path=${socket}`
  const env = {
    TPM2_PKCS11_BACKEND: 'esysdb',
    TPM2_PKCS11_STORE: join(folder, 'store'),
    TPM2_PKCS11_TCTI: tcti,
    TSS2_LOG: 'all+NONE',
  }
  Object.assign(process.env, env)
  let child: ChildProcess | undefined

  async function start() {
    for (const path of [socket, `${socket}.ctrl`]) rmSync(path, { force: true })
    const options = [
      ...['--tpm2', '--tpmstate', `dir=${join(folder, 'state')}`],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
      ...['--flags', 'not-need-init,startup-clear'],
    ]
    child = spawn('swtpm', ['socket', ...options], { stdio: 'ignore' })
    while (!existsSync(socket)) {
      if (child.exitCode !== null) throw new Error(`swtpm ended: ${child.exitCode}`)
      await sleep(5)
    }
  }

  /** One of tpm2-tools. */
  function run(tool: string, ...args: string[]): string {
    return execFileSync(tool, ['-T', tcti, ...args], { encoding: 'utf8', stdio: 'pipe' })
  }

  async function stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM') {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  await start()
  return {
    env,
    folder,
    run,
    start,
    /** As a power cut does, or with the shutdown that a TPM expects. */
    async stop({ clean = true } = {}) {
      if (clean) run('tpm2_shutdown', '--clear')
      await stop(clean ? 'SIGTERM' : 'SIGKILL')
    },
    async close() {
      await stop()
      for (const name of Object.keys(env)) delete process.env[name]
      rmSync(folder, { force: true, recursive: true })
    },
  }
}
