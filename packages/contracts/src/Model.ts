import { type Address, encodeAbiParameters, type Hex, keccak256 } from 'viem'
import type { Assurance } from './Assurance.js'

/** What a maker makes. None of it ever changes. */
export type Model = {
  /** keccak256(abi.encode(maker, name)). */
  id: Hex
  maker: Address
  name: string
  /** Of all its devices, says the maker. */
  assurance: Assurance
}

/** The id of a model, whether it exists or not: firmware can carry it before the model is created. */
export function toModelId(parameters: toModelId.Parameters): Hex {
  const { maker, name } = parameters
  return keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'string' }], [maker, name]))
}

export declare namespace toModelId {
  type Parameters = { maker: Address; name: string }
}
