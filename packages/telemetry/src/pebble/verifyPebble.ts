import { equalBytes, verifySignature } from '@machinefi/core'
import { decodePebble, type PebblePacket, type PebbleProfile } from './decodePebble.js'
import { PebbleError, type PebbleReason } from './errors.js'

/**
 * Verifies a Pebble packet over the bytes it came in: P-256 for JSON of 2020, secp256k1 for JSON of
 * 2021 and for protobuf. Both forms of s verify, since Pebbles send both.
 *
 * A packet has no number, network or domain in what is signed: one that verifies may be old, or have
 * been sent before (docs/protocol/legacy.md).
 *
 * @returns The packet, or the reason why not.
 * @example
 * const verdict = await verifyPebble({ profile: 'pebble-json-2020', packet: line, publicKey })
 * if (verdict.ok) console.log(toPebbleRecord(verdict.packet).temperature)
 */
export async function verifyPebble(options: verifyPebble.Options): Promise<PebbleVerdict> {
  const { profile, publicKey } = options
  let packet: PebblePacket
  try {
    packet = decodePebble(options.packet, profile)
  } catch (error) {
    if (error instanceof PebbleError) return no(error.reason, error.shortMessage)
    throw error
  }
  const { algorithm, message, namedKey, signature } = packet
  if (namedKey !== null && !equalBytes(namedKey, publicKey))
    return no('other-key', 'The message names another public key.')
  if (!(await verifySignature({ algorithm, message, publicKey, signature })))
    return no('signature', 'The signature does not verify: altered, or signed by another key.')
  return { ok: true, packet }
}

export declare namespace verifyPebble {
  type Options = {
    profile: PebbleProfile
    /** JSON: the bytes of the text. Protobuf: those of the `BinPackage`. */
    packet: Uint8Array
    /** X‖Y, 64 bytes. */
    publicKey: Uint8Array
  }
}

export type PebbleVerdict =
  | { readonly ok: true; readonly packet: PebblePacket }
  | { readonly ok: false; readonly reason: PebbleReason; readonly message: string }

function no(reason: PebbleReason, message: string): PebbleVerdict {
  return { ok: false, reason, message }
}
