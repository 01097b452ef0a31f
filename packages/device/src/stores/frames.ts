import { crc32 } from 'node:zlib'

/** Bytes before the content of a frame: magic byte, length (u32), CRC-32 of the content (u32). */
export const frameHeadBytes = 9

const magic = 0xd7

export function encodeFrame(parts: readonly Uint8Array[]): Buffer {
  const frame = Buffer.concat([new Uint8Array(frameHeadBytes), ...parts])
  frame[0] = magic
  frame.writeUInt32BE(frame.length - frameHeadBytes, 1)
  frame.writeUInt32BE(crc32(frame.subarray(frameHeadBytes)), 5)
  return frame
}

/** The content of the frame that begins here, if it is whole. */
export function decodeFrame(bytes: Buffer, at: number): Buffer | undefined {
  if (bytes[at] !== magic || at + frameHeadBytes > bytes.length) return undefined
  const start = at + frameHeadBytes
  const end = start + bytes.readUInt32BE(at + 1)
  if (end > bytes.length) return undefined
  const content = bytes.subarray(start, end)
  return crc32(content) === bytes.readUInt32BE(at + 5) ? content : undefined
}

/** Whether a whole frame begins anywhere from here on. */
export function hasFrame(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(magic, from); at >= 0; at = bytes.indexOf(magic, at + 1))
    if (decodeFrame(bytes, at) !== undefined) return true
  return false
}
