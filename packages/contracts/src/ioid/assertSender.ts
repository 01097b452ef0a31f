import { isAddressEqual } from 'viem'
import type { AnyClient, WriteOptions } from '../chain/writeContract.js'
import { InvalidArgumentError } from '../errors.js'
import type { IoidPermit } from './signIoidPermit.js'

/**
 * Asserts that the account that sends is the one a permit is for: the contract would only say that
 * the signature is invalid.
 *
 * @throws {InvalidArgumentError}
 */
export function assertSender(client: AnyClient, permit: IoidPermit, options: WriteOptions): void {
  const { account = client.account } = options
  // Where there is none, sending says so.
  if (!account) return
  const sender = typeof account === 'string' ? account : account.address
  if (!isAddressEqual(sender, permit.owner))
    throw new InvalidArgumentError(`The device permits ${permit.owner}, and ${sender} would send.`)
}
