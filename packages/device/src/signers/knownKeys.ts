import { isPublishedTestKey, toHex } from '@machinefi/core'

/** Keys generated in this process, each with the networks that it has been used in. */
const generated = new WeakMap<Uint8Array, Set<string>>()

/** A key that was generated just now: nobody can have signed with it. */
export function addUnusedKey(publicKey: Uint8Array) {
  generated.set(publicKey, new Set())
}

/** Whether a key was generated in this process and has not been used in a network. */
export function isUnusedKey(publicKey: Uint8Array, network: Uint8Array): boolean {
  return generated.get(publicKey)?.has(toHex(network)) === false
}

/** Whether it was unused until now. */
export function takeUnusedKey(publicKey: Uint8Array, network: Uint8Array): boolean {
  const unused = isUnusedKey(publicKey, network)
  generated.get(publicKey)?.add(toHex(network))
  return unused
}

/** Keys whose private key everyone has. */
const published = new WeakSet<Uint8Array>()

/**
 * Remembers a key if its private key is published. Signers that take a key from outside do so when
 * they open it, so that a page whose keys are all its own need not load the list.
 */
export function findTestKey(publicKey: Uint8Array) {
  if (isPublishedTestKey(publicKey)) published.add(publicKey)
}

/** Whether a key was found to be one whose private key everyone has. */
export function isTestKey(publicKey: Uint8Array): boolean {
  return published.has(publicKey)
}
