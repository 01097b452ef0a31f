import type { Network } from '@machinefi/contracts'
import {
  isDevelopmentChain,
  isPublishedTestKey,
  PublishedKeyError,
  type Signer,
} from '@machinefi/core'
import { NodeConfigurationError } from './errors.js'

/**
 * Asserts that a key can be a log's.
 *
 * @throws {NodeConfigurationError} it is no P-256 key.
 * @throws {PublishedKeyError} everyone has it, and a network is on no development chain.
 */
export function assertLogSigner(
  { algorithm, publicKey }: Signer,
  networks: readonly Pick<Network, 'chainId'>[],
): void {
  if (algorithm !== 'ES256' || publicKey.length !== 64)
    throw new NodeConfigurationError('The log key is a P-256 key.')
  if (isPublishedTestKey(publicKey) && networks.some(({ chainId }) => !isDevelopmentChain(chainId)))
    throw new PublishedKeyError()
}
