import type { Address } from 'viem'
import { getChainId } from 'viem/actions'
import { readContract } from '../chain/readContract.js'
import type { AnyClient } from '../chain/writeContract.js'
import { ContractError, NotFoundOnChainError, toContractError } from '../errors.js'
import { ioidRegistryAbi } from './ioidRegistryAbi.js'
import { ioidDomainSeparator } from './signIoidPermit.js'

/**
 * Asserts that there is a registry at an address, and that it has the domain that devices sign for.
 * A call of what is no contract succeeds, and keeps the money.
 *
 * @throws {NotFoundOnChainError}
 */
export async function assertIoidRegistry(client: AnyClient, registry: Address): Promise<void> {
  const functionName = 'DOMAIN_SEPARATOR'
  try {
    const [chainId, separator] = await Promise.all([
      getChainId(client),
      readContract(client, { abi: ioidRegistryAbi, address: registry, functionName }),
    ])
    if (separator === ioidDomainSeparator({ chainId, registry })) return
  } catch (error) {
    const wrapped = toContractError(error, { address: registry, functionName })
    if (!(wrapped instanceof ContractError)) throw wrapped
  }
  throw new NotFoundOnChainError(`An ioIDRegistry at ${registry}`, [
    'There is no contract, or another one, or it is of another chain.',
  ])
}
