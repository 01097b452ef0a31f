import type { Address } from 'viem'

/** Where the contracts that all networks of a chain share are. */
export type Deployment = {
  registry: Address
  factory: Address
  metrics: {
    sum: Address
    count: Address
    average: Address
    coverage: Address
    distance: Address
  }
  policy: Address
  p256Verifier: Address
  /** What the disputes of each network are a clone of. */
  disputes: Address
}

/**
 * Deployments by chain id: IoTeX mainnet (4689) and testnet (4690). Empty until
 * something is deployed there.
 */
export const addresses: { readonly [chainId in 4689 | 4690]: Deployment | undefined } = {
  4689: undefined,
  4690: undefined,
}
