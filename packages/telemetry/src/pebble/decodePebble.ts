import type { Algorithm } from '@machinefi/core'
import { decodePebbleJson } from './decodePebbleJson.js'
import { decodePebbleProtobuf } from './decodePebbleProtobuf.js'
import { PebbleError } from './errors.js'

/** The three generations of packets that IoTeX's Pebble trackers sign. */
export const pebbleProfiles = ['pebble-json-2020', 'pebble-json-2021', 'pebble-protobuf'] as const

export type PebbleProfile = (typeof pebbleProfiles)[number]

/** A packet as it came. Nothing of it is verified yet. */
export type PebblePacket = {
  readonly profile: PebbleProfile
  readonly algorithm: Algorithm
  /**
   * What the device hashed with SHA-256 and signed. JSON: the text of the `message` object as it
   * came. Protobuf: the type in 4 bytes, the data, the timestamp in 4 bytes.
   */
  readonly message: Uint8Array
  /** r‖s, 64 bytes, s in either form. */
  readonly signature: Uint8Array
  /** X‖Y that the message says it is signed with, where it does. */
  readonly namedKey: Uint8Array | null
}

/** Longest packet that is read; real ones have 130 to 700 bytes. */
export const maxPebbleBytes = 16_384

/**
 * Decodes a Pebble packet without verifying it. JSON packets are the bytes of the text, protobuf
 * ones those of the `BinPackage`.
 *
 * @throws {PebbleError} `too-long`, `malformed` or `signature-length`.
 */
export function decodePebble(packet: Uint8Array, profile: PebbleProfile): PebblePacket {
  if (packet.length > maxPebbleBytes)
    throw new PebbleError('too-long', `The packet is longer than ${maxPebbleBytes} bytes.`)
  const decoded =
    profile === 'pebble-protobuf' ? decodePebbleProtobuf(packet) : decodePebbleJson(packet)
  const algorithm = profile === 'pebble-json-2020' ? 'ES256' : 'ES256K'
  return { profile, algorithm, ...decoded }
}
