import { existsSync } from 'node:fs'
import { basename, dirname, extname, relative, resolve } from 'node:path'
import {
  type Algorithm,
  BaseError,
  formatAddress,
  formatDid,
  publicKeyToAddress,
  type Signer,
  toHex,
} from '@machinefi/core'
import { createKeyFile, KeyFileError, writeKeyReference } from '@machinefi/device/node'
import type { Context } from '../../context.js'
import { readPin } from '../../options/readPin.js'
import { formatJson } from '../../output/formatJson.js'

type Options = {
  algorithm: Algorithm
  json?: boolean
  label?: string
  module?: string
  pinFile?: string
  signer: 'pkcs11' | 'software' | 'tpm'
  token?: string
}

/** `machinefi device create`: a new key, in a file of mode 0600, or in a token with a reference in the file. */
export async function createDeviceKey(
  file: string,
  options: Options,
  context: Context,
): Promise<void> {
  assertOptions(options)
  const path = resolve(context.cwd, file)
  const signer =
    options.signer === 'software'
      ? await createKeyFile(path, { algorithm: options.algorithm })
      : await createTokenKey(path, options, context)
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
      options.signer === 'software'
        ? `The key is in ${file}: keep a copy, it cannot be made again.\n`
        : `The key is in the token and cannot leave it; ${file} says where, and is no secret.\n`,
    )
    context.stderr.write(`Next: machinefi device register ${file}\n`)
  }
}

async function createTokenKey(path: string, options: Options, context: Context): Promise<Signer> {
  // Before there is a key in the token that no file knows of.
  if (existsSync(path)) throw new KeyFileError(path, 'exists')
  const pin = await readPin(options.pinFile, context)
  const { token = 'machinefi' } = options
  const key = options.label ?? basename(path, extname(path))
  const signer = await makeKey()
  await signer.close()
  const { algorithm, publicKey } = signer
  await writeKeyReference(path, {
    signer: options.signer === 'tpm' ? 'tpm' : 'pkcs11',
    module: options.module,
    token,
    key,
    algorithm,
    publicKey: toHex(publicKey),
    pinFile:
      options.pinFile === undefined || options.pinFile === '-'
        ? undefined
        : relative(dirname(path), resolve(context.cwd, options.pinFile)),
  })
  return signer

  async function makeKey() {
    if (options.signer === 'tpm') {
      const { createTpmKey } = await import('@machinefi/device/tpm')
      return createTpmKey({ key, module: options.module, pin, token })
    }
    const { createPkcs11Key } = await import('@machinefi/device/pkcs11')
    const { algorithm, module = '' } = options
    return createPkcs11Key({ algorithm, key, module, pin, token })
  }
}

function assertOptions({ algorithm, label, module, pinFile, signer, token }: Options): void {
  const given = { label, module, 'pin-file': pinFile, token }
  const [extra] = Object.entries(given).find(([, value]) => value !== undefined) ?? []
  if (signer === 'software' && extra !== undefined)
    throw new SignerOptionError(`--${extra} is for --signer pkcs11 and --signer tpm.`)
  if (signer === 'pkcs11' && (module === undefined || token === undefined))
    throw new SignerOptionError('--signer pkcs11 needs --module and --token.')
  if (signer === 'tpm' && algorithm !== 'ES256')
    throw new SignerOptionError('A TPM has no secp256k1: leave --algorithm out.')
}

export class SignerOptionError extends BaseError {
  override readonly name = 'SignerOptionError'
  constructor(shortMessage: string) {
    super(shortMessage, { kind: 'input' })
  }
}
