import { BaseError } from '@machinefi/core'
import { crc16 } from './crc16.js'

/** What travels on a serial line, see docs/protocol/serial.md. */
export type Frame = {
  /** One of {@link frameTypes}. */
  readonly type: number
  /** 16 bits. A board counts its messages with it; the host repeats it where it answers one. */
  readonly number: number
  readonly body: Uint8Array
}

/** Types of frames. Those from the host have the highest bit set. */
export const frameTypes = {
  hello: 0x01,
  reading: 0x02,
  batch: 0x03,
  registration: 0x04,
  clock: 0x81,
  ack: 0x82,
  refused: 0x83,
  receipt: 0x84,
  register: 0x85,
} as const

/** The most bytes of a body: a batch of the largest rows a network takes by default, twice. */
export const maxBodyBytes = 8192

/** The most bytes of a frame between its zeros: COBS adds one in 254. */
export const maxFrameBytes = /* @__PURE__ */ cobsBytes(3 + maxBodyBytes + 2)

/**
 * Encodes a frame: a zero, then type, number, body and CRC-16 as COBS (Cheshire and Baker, 1999),
 * then a zero. The zero before it ends whatever was on the line.
 *
 * @throws {InvalidFrameError} if a number is out of bounds or the body too long.
 */
export function encodeFrame({ type, number, body }: Frame): Uint8Array {
  if (!(type >= 0 && type <= 0xff) || !(number >= 0 && number <= 0xffff))
    throw new InvalidFrameError(`type ${type}, number ${number}`)
  if (body.length > maxBodyBytes) throw new InvalidFrameError(`a body of ${body.length} bytes`)
  const packet = new Uint8Array(5 + body.length)
  packet.set([type, number >> 8, number])
  packet.set(body, 3)
  const crc = crc16(packet.subarray(0, -2))
  packet.set([crc >> 8, crc], packet.length - 2)

  const frame = new Uint8Array(2 + cobsBytes(packet.length))
  let code = 1
  let at = 2
  for (const byte of packet) {
    // Full, and known to go on: a packet that ends with a full block has no block after it.
    if (at - code === 255) {
      frame[code] = 255
      code = at++
    }
    if (byte === 0) {
      frame[code] = at - code
      code = at++
    } else frame[at++] = byte
  }
  frame[code] = at - code
  return frame.subarray(0, at + 1)
}

/** Decodes what stands between two zeros; `undefined` if it is no frame. */
export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  const packet = new Uint8Array(bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at]!
    const end = at + code
    if (code === 0 || end > bytes.length) return undefined
    packet.set(bytes.subarray(at + 1, end), length)
    length += code - 1
    at = end
    if (code < 255 && at < bytes.length) packet[length++] = 0
  }
  if (length < 5 || crc16(packet.subarray(0, length)) !== 0) return undefined
  return {
    type: packet[0]!,
    number: (packet[1]! << 8) | packet[2]!,
    body: packet.subarray(3, length - 2),
  }
}

export class InvalidFrameError extends BaseError {
  override readonly name = 'InvalidFrameError'
  constructor(problem: string) {
    super(`Not a frame: ${problem}.`, { kind: 'input' })
  }
}

/** The most bytes that this many take as COBS. */
function cobsBytes(length: number): number {
  return length + Math.max(1, Math.ceil(length / 254))
}
