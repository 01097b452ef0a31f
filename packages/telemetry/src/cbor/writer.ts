/**
 * Bytes under construction. The caller allocates enough: nothing here grows. Small ones share
 * their memory, so that one has to be written to its end before the next is created.
 */
export type Writer = { readonly bytes: Uint8Array; at: number }

/** The most bytes a head takes. */
export const maxHeadBytes = 9

export function createWriter(maxBytes: number): Writer {
  return { bytes: maxBytes <= scratch.length ? scratch : new Uint8Array(maxBytes), at: 0 }
}

/** Allocating what an encoding could need at the most costs more than writing what it needs. */
const scratch = /* @__PURE__ */ new Uint8Array(8192)

/** The bytes written so far, in memory of their own. */
export function writtenBytes(writer: Writer): Uint8Array {
  return writer.bytes.slice(0, writer.at)
}

/** Whether a number can be the argument of a head: an integer in 0 … 2^53 − 1. */
export function isUint(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** Writes a head (RFC 8949 §3) in its shortest form; `argument` is a safe unsigned integer. */
export function writeHead(writer: Writer, major: number, argument: number): void {
  const { bytes } = writer
  const type = major << 5
  if (argument < 24) {
    bytes[writer.at++] = type | argument
    return
  }
  const log = argument < 0x100 ? 0 : argument < 0x10000 ? 1 : argument < 0x100000000 ? 2 : 3
  bytes[writer.at++] = type | (24 + log)
  // From the last byte to the first, and by division: shifts would lose all above 32 bits.
  const end = writer.at + (1 << log)
  for (let at = end - 1, rest = argument; at >= writer.at; at--, rest = Math.floor(rest / 256))
    bytes[at] = rest
  writer.at = end
}

/** Writes an integer with |v| < 2^53, or null. */
export function writeIntOrNull(writer: Writer, value: number | null): void {
  if (value === null) writer.bytes[writer.at++] = 0xf6
  else if (value < 0) writeHead(writer, 1, -1 - value)
  else writeHead(writer, 0, value)
}

export function writeBytes(writer: Writer, value: Uint8Array): void {
  writeHead(writer, 2, value.length)
  writeRaw(writer, value)
}

export function writeBytesOrNull(writer: Writer, value: Uint8Array | null): void {
  if (value === null) writeIntOrNull(writer, null)
  else writeBytes(writer, value)
}

/** Writes text of ASCII characters. */
export function writeText(writer: Writer, value: string): void {
  writeHead(writer, 3, value.length)
  for (let i = 0; i < value.length; i++) writer.bytes[writer.at++] = value.charCodeAt(i)
}

export function writeRaw(writer: Writer, value: Uint8Array): void {
  writer.bytes.set(value, writer.at)
  writer.at += value.length
}
