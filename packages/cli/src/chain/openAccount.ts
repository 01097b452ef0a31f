import { pbkdf2Sync } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaseError } from '@machinefi/core'
import type { Hex } from 'viem'
import { generatePrivateKey, HDKey, hdKeyToAccount, privateKeyToAccount } from 'viem/accounts'
import type { Context } from '../context.js'

/** The chain id of anvil and of most development chains. */
export const developmentChainId = 31_337

const developmentMnemonic = 'test test test test test test test test test test test junk'

/** Accounts that anvil gives money at its start. Their keys are public: never for anything of value. */
export function developmentAccount(index: number) {
  // BIP-39's seed by OpenSSL: in JavaScript it takes a third of a second.
  const seed = pbkdf2Sync(developmentMnemonic, 'mnemonic', 2048, 64, 'sha512')
  return hdKeyToAccount(HDKey.fromMasterSeed(seed), { addressIndex: index })
}

/** An account that nobody has seen before, without money. */
export function createAccount() {
  return privateKeyToAccount(generatePrivateKey())
}

/**
 * The account that pays: from `--account FILE`, else from MACHINEFI_PRIVATE_KEY,
 * else, on a development chain only, its first account.
 *
 * @throws {AccountError}
 */
export async function openAccount(file: string | undefined, chainId: number, context: Context) {
  if (file !== undefined) return toAccount(await readSecret(resolve(context.cwd, file), file))
  const { MACHINEFI_PRIVATE_KEY: secret } = context.env
  if (secret) return toAccount(secret)
  if (chainId === developmentChainId) return developmentAccount(0)
  throw new AccountError('No account to pay with.', [
    'Name a file with --account, or set MACHINEFI_PRIVATE_KEY.',
  ])
}

async function readSecret(path: string, file: string): Promise<string> {
  try {
    const { mode } = await stat(path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new AccountError(`${file} can be read by others.`, ['Close it with: chmod 600 FILE'])
    return await readFile(path, 'latin1')
  } catch (error) {
    if (error instanceof AccountError) throw error
    throw new AccountError(`${file} cannot be read.`, [])
  }
}

function toAccount(secret: string) {
  const digits = secret.trim().replace(/^0x/, '')
  // The value itself never enters a message.
  if (!/^[0-9a-fA-F]{64}$/.test(digits) || /^0+$/.test(digits))
    throw new AccountError('Not a private key: 32 bytes as hex are needed.', [])
  return privateKeyToAccount(`0x${digits}` as Hex)
}

export class AccountError extends BaseError {
  override readonly name = 'AccountError'
  constructor(shortMessage: string, metaMessages: readonly string[]) {
    super(shortMessage, { kind: 'input', metaMessages })
  }
}
