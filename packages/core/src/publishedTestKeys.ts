import { formatAddress, publicKeyToAddress } from './address.js'

/**
 * Whether the private half of a key is printed in a standard, a repository or a tutorial, so that
 * anyone can sign with it. A key that is not on the list may be known to others all the same.
 *
 * @param publicKey X‖Y, 64 bytes.
 * @throws {InvalidPublicKeyError} not 64 bytes.
 */
export function isPublishedTestKey(publicKey: Uint8Array): boolean {
  return published.has(formatAddress(publicKeyToAddress(publicKey)))
}

/** Addresses alone: nobody can sign with what is written here. */
const published: ReadonlySet<string> = /* @__PURE__ */ new Set([
  // IoTeX: pebble-backend's sample data, pebble-simulator, arduino-sdk (32 bytes of 0x11, both
  // curves), iotex-antenna.
  '0xe540678f0b995bf3b287e47f84f84aea44cfeb31',
  '0xafded8eb0fa3de6f57d8532f69c03e31dc7feca2',
  '0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a',
  '0x9f2e642877a9411849763c250e5bb36cc57fedea',
  '0x3f9c20bcec9de520d88d98cbe07ee7b5ded0dac4',
  // RFC 6979 §A.2.5, RFC 7515 §A.3, RFC 7517 §A.1, RFC 9500 §2.3; "11" and "meriadoc" of RFC 8152 §C.7.
  '0xdb1cf7c2c5375aea1b363bd4a67803c7f704051b',
  '0xb7367c75fc8ab7c9314ae56ac0eccd8198a9e700',
  '0xf8d487996b0c56a8e16f5ee9d7428af3c6e834ee',
  '0x82b3437e78b9ef123878cd2def961dab2e09b208',
  '0x6dffedad4488953600300108e30830de98a13817',
  '0x201a08b378da36829da92a76930cd3af7ef41dc5',
  // Private keys 1, 2 and 3, for P-256 and secp256k1.
  '0xd3a9f047ad43d7e2e4e7e491f1fe2e657a2651b6',
  '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf',
  '0x288f0cd85005f34168f731a468aef268c2f9456f',
  '0x2b5ad5c4795c026514f8317c7a215e218dccd6cf',
  '0x07e1ed8ea0e9601e5546b0a03aed683df3601407',
  '0x6813eb9362372eef6200f3b1dbc3f819671cba69',
  // The accounts of anvil and Hardhat.
  '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
  '0x70997970c51812dc3a010c7d01b50e0d17dc79c8',
  '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc',
  '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
  '0x15d34aaf54267db7d7c367839aaf71a00a2c6a65',
  '0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc',
  '0x976ea74026e726554db657fa54763abd0c3a0aa9',
  '0x14dc79964da2c08b23698b3d3cc7ca32193d9955',
  '0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f',
  '0xa0ee7a142d267c1f36714e4a8f75612f20a79720',
])
