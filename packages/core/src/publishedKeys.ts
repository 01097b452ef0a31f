import { publicKeyToAddress } from './address.js'
import { toHex } from './bytes.js'
import { BaseError } from './errors.js'

/**
 * Whether the private key of this public key is printed somewhere for all to use: in an RFC, in
 * published test vectors, in the samples of an SDK. Whoever reads that page can sign as the device.
 * Knowing the list is no protection from a key that leaked in any other way.
 *
 * @param publicKey X‖Y, 64 bytes, of either curve.
 */
export function isPublishedTestKey(publicKey: Uint8Array): boolean {
  return published.includes(toHex(publicKeyToAddress(publicKey)).slice(2, 18))
}

/** Whether a chain is one that a developer starts: of anvil and hardhat (31337), or of geth --dev (1337). */
export function isDevelopmentChain(chainId: number | bigint | undefined): boolean {
  return [1337, 31_337].includes(Number(chainId))
}

/** A key that everyone has is used where something may be at stake. */
export class PublishedKeyError extends BaseError {
  override readonly name = 'PublishedKeyError'
  constructor() {
    super('This private key is published: anyone can sign with it.', {
      kind: 'input',
      metaMessages: ['Only development chains (1337, 31337) take it. Make a key of your own.'],
    })
  }
}

/** First 8 bytes of addresses, to be small. That a key of someone's own is among them has a chance of 2^-59. */
const published = /* @__PURE__ */ [
  // P-256: the private keys 1, 2, 3 and 32 × 11.
  'd3a9f047ad43d7e2 288f0cd85005f341 07e1ed8ea0e9601e 9f2e642877a94118',
  // secp256k1: the same.
  '7e5f4552091a6912 2b5ad5c4795c0265 6813eb9362372eef 19e7e376e7c213b7',
  // RFC 6979 A.2.5, RFC 7515 A.3, RFC 7517 A.2, RFC 8392 A.2.3, RFC 9500.
  'db1cf7c2c5375aea b7367c75fc8ab7c9 f8d487996b0c56a8 79844b917d42cdce 82b3437e78b9ef12',
  // COSE's examples (RFC 9052 C.7.2): 11, meriadoc.brandybuck, peregrin.took.
  '6dffedad44889536 201a08b378da3682 edbf4eaa006cf1db',
  // IoTeX: pebble-simulator, the Pebble samples of 2020, iotex-antenna.
  'afded8eb0fa3de6f e540678f0b995bf3 3f9c20bcec9de520',
  // The development accounts of anvil and hardhat.
  'f39fd6e51aad88f6 70997970c51812dc 3c44cdddb6a900fa 90f79bf6eb2c4f87 15d34aaf54267db7',
  '9965507d1a55bcc2 976ea74026e72655 14dc79964da2c08b 23618e81e3f5cdf7 a0ee7a142d267c1f',
].flatMap((line) => line.split(' '))
