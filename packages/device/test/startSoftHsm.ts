import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findMissing, pkcs11js } from './findMissing.js'

export const softHsmModule = '/usr/lib/softhsm/libsofthsm2.so'
export const softHsmMissing = findMissing({ [softHsmModule]: 'Debian’s softhsm2', ...pkcs11js })

/**
 * A SoftHSM with a folder of its own, with one token. The module reads its variable when it is
 * started, so one at a time in a process.
 */
export function startSoftHsm() {
  const folder = mkdtempSync(join(tmpdir(), 'machinefi-softhsm-'))
  mkdirSync(join(folder, 'tokens'))
  const config = join(folder, 'softhsm2.conf')
  writeFileSync(config, `directories.tokendir = ${join(folder, 'tokens')}\nlog.level = ERROR\n`)
  const before = process.env.SOFTHSM2_CONF
  process.env.SOFTHSM2_CONF = config
  const pin = '24680'
  const addToken = (token: string) =>
    execFileSync(
      'softhsm2-util',
      ['--init-token', '--free', '--label', token, '--so-pin', '13579', '--pin', pin],
      { stdio: 'pipe' },
    )
  addToken('station')
  return {
    addToken,
    config,
    folder,
    module: softHsmModule,
    pin,
    token: 'station',
    tokens: join(folder, 'tokens'),
    close() {
      if (before === undefined) delete process.env.SOFTHSM2_CONF
      else process.env.SOFTHSM2_CONF = before
      rmSync(folder, { force: true, recursive: true })
    },
  }
}
