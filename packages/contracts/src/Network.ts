import { type Address, encodeAbiParameters, type Hex, keccak256 } from 'viem'

/** A network and where its contracts are. Plain data; addresses are in lower case. */
export type Network = {
  /** keccak256(abi.encode(chainId, factory, serial)): outlives every contract but the factory. */
  id: Hex
  chainId: number
  factory: Address
  /** Number of the network at its factory, from 1. */
  serial: bigint
  /** ERC-721 of the devices. */
  registry: Address
  settlement: Address
  membership: Address
  /** The network's own disputes; zero in an attested network, where nobody can challenge. */
  disputes: Address
  /** Whether records are for owners, grantees and auditors only; never changes. */
  isPrivate: boolean
  /** ERC-20 of the rewards. */
  token: Address
  /** Length of a window; never changes. Window n is [n × windowSeconds, (n + 1) × windowSeconds). */
  windowSeconds: number
  /** The first that begins after the network's creation. */
  firstWindow: number
}

/** The id of a network, whether it exists or not. */
export function toNetworkId(parameters: toNetworkId.Parameters): Hex {
  const { chainId, factory, serial } = parameters
  return keccak256(
    encodeAbiParameters(
      [{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }],
      [BigInt(chainId), factory, serial],
    ),
  )
}

export declare namespace toNetworkId {
  type Parameters = { chainId: number; factory: Address; serial: bigint }
}
