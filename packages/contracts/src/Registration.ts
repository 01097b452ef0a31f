import {
  type Algorithm,
  isDevelopmentChain,
  isPublishedTestKey,
  normalizeSignature,
  PublishedKeyError,
  publicKeyToAddress,
  type Signer,
} from '@machinefi/core'
import {
  type Address,
  bytesToHex,
  concat,
  encodeAbiParameters,
  type Hex,
  hexToBytes,
  keccak256,
  slice,
  stringToHex,
  zeroAddress,
  zeroHash,
} from 'viem'

/** What a device signed to be registered. Anyone can send it to the registry. */
export type Registration = {
  /** The public key. */
  x: Hex
  y: Hex
  algorithm: Algorithm
  owner: Address
  /** What the device says it is; zero if nothing. */
  model: Hex
  /** The network's membership that the device joins in the same call; zero if none. */
  membership: Address
  /** Unix seconds; the last moment at which it can be used. */
  deadline: bigint
  r: Hex
  s: Hex
}

/** As numbered by the registry. */
export const algorithms = ['ES256', 'ES256K'] as const satisfies readonly Algorithm[]

/**
 * Has a device sign its registration: SHA-256 over EIP-712 bytes that cover
 * every argument, the chain and the registry (docs/protocol).
 *
 * @throws {InvalidPublicKeyError} unless the signer's key has 64 bytes.
 * @throws {PublishedKeyError} everyone has its private key, and this is no development chain.
 */
export async function signRegistration(
  parameters: signRegistration.Parameters,
): Promise<Registration> {
  const { signer, chainId, deadline, registry, ...rest } = parameters
  const { membership = zeroAddress, model = zeroHash, owner } = rest
  const unsigned = {
    x: bytesToHex(signer.publicKey.subarray(0, 32)),
    y: bytesToHex(signer.publicKey.subarray(32)),
    algorithm: signer.algorithm,
    owner,
    model,
    membership,
    deadline: BigInt(deadline),
  }
  // Also asserts that it is a public key.
  if (isPublishedTestKey(signer.publicKey) && !isDevelopmentChain(chainId))
    throw new PublishedKeyError()
  const message = hexToBytes(registrationMessage({ ...unsigned, chainId, registry }))
  const signature = bytesToHex(normalizeSignature(await signer.sign(message), signer.algorithm))
  return { ...unsigned, r: slice(signature, 0, 32), s: slice(signature, 32) }
}

export declare namespace signRegistration {
  type Parameters = {
    signer: Signer
    chainId: number
    registry: Address
    /** Account that gets the device's token, and its rewards. */
    owner: Address
    /** @default zero */
    model?: Hex | undefined
    /** Of the network to join in the same call. @default none */
    membership?: Address | undefined
    /** Unix seconds. */
    deadline: bigint | number
  }
}

/** The bytes a device hashes with SHA-256 and signs: `1901` ‖ domain separator ‖ struct hash. */
export function registrationMessage(
  parameters: Omit<Registration, 'r' | 's'> & { chainId: number; registry: Address },
): Hex {
  const { algorithm, chainId, deadline, membership, model, owner, registry, x, y } = parameters
  const domainSeparator = keccak256(
    encodeAbiParameters(
      [
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'uint256' },
        { type: 'address' },
      ],
      [
        hashText(
          'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
        ),
        hashText('MachineFi DeviceRegistry'),
        hashText('1'),
        BigInt(chainId),
        registry,
      ],
    ),
  )
  const structHash = keccak256(
    encodeAbiParameters(
      [
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'uint8' },
        { type: 'address' },
        { type: 'bytes32' },
        { type: 'address' },
        { type: 'uint64' },
      ],
      [
        hashText(
          'Registration(bytes32 x,bytes32 y,uint8 algorithm,address owner,bytes32 model,address membership,uint64 deadline)',
        ),
        x,
        y,
        algorithms.indexOf(algorithm),
        owner,
        model,
        membership,
        deadline,
      ],
    ),
  )
  return concat(['0x1901', domainSeparator, structHash])
}

/** Address of a device in the form that all of the SDK prints: lower case. */
export function toDeviceAddress(publicKey: { x: Hex; y: Hex }): Address {
  const bytes = publicKeyToAddress(hexToBytes(concat([publicKey.x, publicKey.y])))
  return bytesToHex(bytes)
}

function hashText(text: string): Hex {
  return keccak256(stringToHex(text))
}
