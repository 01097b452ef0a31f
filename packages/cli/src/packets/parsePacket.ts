import { fromHex } from '@machinefi/core'
import type { PebbleProfile } from '@machinefi/telemetry/pebble'

/**
 * The packet that a line holds. JSON is what it is. Protobuf, which may have a line's end in it, is
 * written as hex, or as base64 in either alphabet; what could be both is hex.
 */
export function parsePacket(line: Uint8Array, profile: PebbleProfile): Uint8Array {
  if (profile !== 'pebble-protobuf') return line
  const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1').trim()
  if (/^(0x)?([0-9a-fA-F]{2})+$/.test(text)) return fromHex(text)
  // What is neither decodes to no packet.
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return new Uint8Array()
  return Buffer.from(text, 'base64')
}
