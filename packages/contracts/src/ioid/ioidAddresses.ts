import type { Address } from 'viem'

/** Where IoTeX's ioID contracts of a chain are. */
export type IoidDeployment = { registry: Address; ioid: Address }

/**
 * IoTeX's own deployments by chain id, mainnet (4689) and testnet (4690), as its repository
 * `ioID-contracts` lists them. Every call asks the contract first whether it is the registry that
 * a device signs for.
 */
export const ioidAddresses: { readonly [chainId in 4689 | 4690]: IoidDeployment } = {
  4689: {
    registry: '0x04e4655cf258ec802d17c23ec6112ef7d97fa2af',
    ioid: '0x1fcb980ed0287777ab05adc93012332e11300e54',
  },
  4690: {
    registry: '0x0a7e595c7889df3652a19af52c18377bf17e027d',
    ioid: '0x45ce3e6f526e597628c73b731a3e9af7fc32f5b7',
  },
}
