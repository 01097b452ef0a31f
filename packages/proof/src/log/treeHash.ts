import { sha256 } from '@machinefi/core'

/** SHA-256 of nothing: the root of an empty log (RFC 9162 §2.1.1). */
export const emptyRoot: Uint8Array = /* @__PURE__ */ Uint8Array.from([
  0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
  0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
])

// One buffer each, filled anew for every hash: nothing here is asynchronous.
const leaf = /* @__PURE__ */ new Uint8Array(33)
const node = /* @__PURE__ */ Uint8Array.of(1, ...new Uint8Array(64))

/** Leaf hash of RFC 9162 §2.1.1: SHA-256(00 ‖ id). `id` has 32 bytes. */
export function hashLeaf(id: Uint8Array): Uint8Array {
  leaf.set(id, 1)
  return sha256(leaf)
}

/** Node hash of RFC 9162 §2.1.1: SHA-256(01 ‖ left ‖ right), read from flat buffers. */
export function hashNode(
  left: Uint8Array,
  leftOffset: number,
  right: Uint8Array,
  rightOffset: number,
): Uint8Array {
  for (let i = 0; i < 32; i++) {
    node[1 + i] = left[leftOffset + i] as number
    node[33 + i] = right[rightOffset + i] as number
  }
  return sha256(node)
}
