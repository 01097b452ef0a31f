import { isDevelopmentChain, isPublishedTestKey, PublishedKeyError } from '@machinefi/core'

const found = new WeakSet<Uint8Array>()

/**
 * Remembers a key if its private key is published. Signers that take a key from outside do so when
 * they open it, so that a page whose keys are all its own need not load the list.
 */
export function findTestKey(publicKey: Uint8Array) {
  if (isPublishedTestKey(publicKey)) found.add(publicKey)
}

/** Warns of a published key on a development chain. @throws {PublishedKeyError} anywhere else. */
export function assertNoTestKey(publicKey: Uint8Array, chainId: number | undefined) {
  if (!found.has(publicKey)) return
  if (!isDevelopmentChain(chainId)) throw new PublishedKeyError()
  // biome-ignore lint/suspicious/noConsole: nobody waits for a value, and it must be seen
  console.warn('machinefi: this device signs with a published test key.')
}
