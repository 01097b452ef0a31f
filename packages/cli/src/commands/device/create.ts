import { resolve } from 'node:path'
import {
  type Algorithm,
  formatAddress,
  formatDid,
  publicKeyToAddress,
  toHex,
} from '@machinefi/core'
import { createKeyFile } from '@machinefi/device/node'
import type { Context } from '../../context.js'
import { formatJson } from '../../output/formatJson.js'

/** `machinefi device create`: a new key in a file of mode 0600. */
export async function createDeviceKey(
  file: string,
  options: { algorithm: Algorithm; json?: boolean },
  context: Context,
): Promise<void> {
  const signer = await createKeyFile(resolve(context.cwd, file), { algorithm: options.algorithm })
  const address = publicKeyToAddress(signer.publicKey)
  const device = {
    did: formatDid(address),
    address: formatAddress(address),
    algorithm: signer.algorithm,
    publicKey: toHex(signer.publicKey),
    file,
  }
  if (options.json) context.stdout.write(`${formatJson(device)}\n`)
  else {
    context.stdout.write(`${device.did}\n`)
    context.stderr.write(
      `The key is in ${file}: keep a copy, it cannot be made again.\nNext: machinefi device register ${file}\n`,
    )
  }
}
