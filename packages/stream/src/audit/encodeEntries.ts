import { concatBytes } from '@machinefi/core'
import type { Entry } from '@machinefi/proof'

/** Ledger entries by slot, 105 bytes each, as an auditor keeps them. */
export function encodeEntries(entries: readonly (Entry | null)[]): Uint8Array {
  const bytes = new Uint8Array(entryBytes * entries.length)
  for (const [slot, entry] of entries.entries()) {
    if (!entry) continue
    const { cumulative, device, steps, traceRoot, value } = entry
    const parts = [toBytes(cumulative, 16), toBytes(value, 32), toBytes(BigInt(steps), 4)]
    bytes.set(concatBytes(Uint8Array.of(1), device, traceRoot, ...parts), entryBytes * slot)
  }
  return bytes
}

/** The entries that {@link encodeEntries} wrote. */
export function decodeEntries(bytes: Uint8Array): (Entry | null)[] {
  return Array.from({ length: bytes.length / entryBytes }, (_, slot) => {
    const at = (from: number, length: number) =>
      bytes.slice(entryBytes * slot + from, entryBytes * slot + from + length)
    if (bytes[entryBytes * slot] === 0) return null
    return {
      cumulative: toInteger(at(53, 16)),
      device: at(1, 20),
      steps: Number(toInteger(at(101, 4))),
      traceRoot: at(21, 32),
      value: BigInt.asIntN(256, toInteger(at(69, 32))),
    }
  })
}

const entryBytes = 105

function toBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
  return bytes
}

function toInteger(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}
