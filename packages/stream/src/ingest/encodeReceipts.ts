import { decodeCheckpoint, encodeReceipt } from '@machinefi/proof'

/**
 * Makes the receipts of one checkpoint: the bytes of `encodeReceipt`, with all
 * that they share written once. A receipt costs a copy.
 */
export function encodeReceipts(
  checkpoint: Uint8Array,
): (index: number, proof: Uint8Array) => Uint8Array {
  const { size } = decodeCheckpoint(checkpoint)
  // The shared parts are those of a receipt without a path: before and after [size, 0, []].
  const sample = encodeReceipt({ checkpoint, index: 0, proof: none })
  const inclusion = Uint8Array.of(0x83, ...uint(size), ...uint(0), 0x80)
  const tail = sample.subarray(sample.length - 67)
  const head = sample.subarray(0, sample.length - 67 - inclusion.length - 1)
  const sizeBytes = uint(size)

  return (index, proof) => {
    const hashes = proof.length / 32
    const indexBytes = uint(index)
    const length = 1 + sizeBytes.length + indexBytes.length + (hashes < 24 ? 1 : 2) + hashes * 34
    const lengthBytes = byteStringHead(length)
    const receipt = new Uint8Array(head.length + lengthBytes.length + length + tail.length)
    let at = 0
    const put = (bytes: ArrayLike<number>) => {
      receipt.set(bytes, at)
      at += bytes.length
    }
    put(head)
    put(lengthBytes)
    receipt[at++] = 0x83
    put(sizeBytes)
    put(indexBytes)
    if (hashes < 24) receipt[at++] = 0x80 | hashes
    else {
      receipt[at++] = 0x98
      receipt[at++] = hashes
    }
    for (let i = 0; i < proof.length; i += 32) {
      receipt[at++] = 0x58
      receipt[at++] = 0x20
      // A loop: for 32 bytes a view costs more than the copy.
      for (let j = 0; j < 32; j++) receipt[at++] = proof[i + j]!
    }
    put(tail)
    return receipt
  }
}

const none = new Uint8Array(0)

/** A CBOR unsigned integer, shortest form. */
function uint(value: number): number[] {
  return head(0x00, value)
}

function byteStringHead(length: number): number[] {
  return head(0x40, length)
}

function head(major: number, value: number): number[] {
  if (value < 24) return [major | value]
  if (value < 0x100) return [major | 24, value]
  if (value < 0x10000) return [major | 25, value >> 8, value & 0xff]
  const low = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff)
  if (value < 0x100000000) return [major | 26, ...low]
  const high = Math.floor(value / 0x100000000)
  return [major | 27, ...[24, 16, 8, 0].map((shift) => (high >>> shift) & 0xff), ...low]
}
