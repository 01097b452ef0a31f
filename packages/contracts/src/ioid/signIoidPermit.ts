import { type Address, type Hex, hashDomain, type LocalAccount, parseSignature } from 'viem'
import { toLowerCase } from '../chain/toLowerCase.js'
import { InvalidArgumentError } from '../errors.js'

/**
 * A device's key as ioID v1 needs it: secp256k1, over a keccak256 digest. viem's local accounts are
 * one. Signers of the rest of the SDK hash with SHA-256, and most chips have P-256: neither will do.
 */
export type IoidSigner = Pick<LocalAccount, 'address' | 'signTypedData'>

/**
 * A device's word that an owner may register, update or remove it, once. It covers the owner and
 * the nonce, and nothing else: not the document, its URI, the token, or which of the three it is.
 */
export type IoidPermit = {
  device: Address
  owner: Address
  nonce: bigint
  v: number
  r: Hex
  s: Hex
}

/**
 * Has a device sign the EIP-712 permit of IoTeX's `ioIDRegistry`. Works without a chain: the nonce
 * is the device's own, 0 before it was ever registered ({@link readIoidNonce}).
 *
 * @throws {InvalidArgumentError} if the signer's signature is not one of 65 bytes.
 */
export async function signIoidPermit(parameters: signIoidPermit.Parameters): Promise<IoidPermit> {
  const { nonce, owner, signer } = parameters
  const signature = await signer.signTypedData(ioidPermitTypedData(parameters))
  let parsed: ReturnType<typeof parseSignature>
  try {
    parsed = parseSignature(signature)
  } catch {
    throw new InvalidArgumentError('The signer of an ioID permit returned no signature.')
  }
  const { r, s, yParity } = parsed
  return {
    device: toLowerCase(signer.address),
    owner: toLowerCase(owner),
    nonce,
    v: 27 + yParity,
    r,
    s,
  }
}

export declare namespace signIoidPermit {
  type Parameters = {
    signer: IoidSigner
    chainId: number
    /** The `ioIDRegistry`. */
    registry: Address
    /** Who sends the transaction; of a registration that another sends, who gets the ioID. */
    owner: Address
    nonce: bigint
  }
}

/** What is signed, for `signTypedData` and `hashTypedData`. */
export function ioidPermitTypedData(
  parameters: Pick<signIoidPermit.Parameters, 'chainId' | 'nonce' | 'owner' | 'registry'>,
) {
  const { chainId, nonce, owner, registry } = parameters
  return {
    domain: { name: 'ioIDRegistry', version: '1', chainId, verifyingContract: registry },
    types: {
      Permit: [
        { name: 'owner', type: 'address' },
        { name: 'nonce', type: 'uint256' },
      ],
    },
    primaryType: 'Permit',
    message: { owner, nonce },
  } as const
}

/** The domain separator that a registry must have for a permit to be for it. */
export function ioidDomainSeparator(parameters: { chainId: number; registry: Address }): Hex {
  const { domain } = ioidPermitTypedData({ ...parameters, nonce: 0n, owner: parameters.registry })
  return hashDomain({
    domain: { ...domain, chainId: BigInt(domain.chainId) },
    types: {
      EIP712Domain: [
        { name: 'name', type: 'string' },
        { name: 'version', type: 'string' },
        { name: 'chainId', type: 'uint256' },
        { name: 'verifyingContract', type: 'address' },
      ],
    },
  })
}
