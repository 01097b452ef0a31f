/**
 * A cursor over bytes, for the strict reader. `fail` is called, and must throw,
 * whenever the bytes are not the one canonical form: each format brings its own
 * error that way, and the hot path carries none.
 */
export type Reader = {
  readonly bytes: Uint8Array
  at: number
  readonly end: number
  readonly fail: (problem: Problem, message: string, offset: number) => never
}

/** What is wrong with the bytes, before a format gives it a reason of its own. */
export type Problem = 'truncated' | 'not-canonical' | 'range' | 'type'

/** Reads an unsigned integer below 2^53 in its shortest form. */
export function readUint(reader: Reader): number {
  const head = reader.bytes[reader.at]
  if (head !== undefined && head < 24 && reader.at < reader.end) {
    reader.at++
    return head
  }
  return readArgument(reader, 0)
}

/** Reads an integer with |v| < 2^53, or null (F6) as NaN. */
export function readIntOrNull(reader: Reader): number {
  const { at } = reader
  const head = at < reader.end ? reader.bytes[at]! : truncated(reader)
  if (head < 24) {
    reader.at = at + 1
    return head
  }
  if (head === 0xf6) {
    reader.at = at + 1
    return Number.NaN
  }
  if (head >> 5 === 0) return readArgument(reader, 0)
  if (head >> 5 !== 1) reader.fail('type', `an integer or null, not ${hex(head)}`, at)
  const argument = readArgument(reader, 1)
  if (argument === Number.MAX_SAFE_INTEGER)
    reader.fail('range', 'an integer with an absolute value below 2^53', at)
  return -1 - argument
}

/** Reads the head of an array and returns its length. */
export function readArrayHead(reader: Reader): number {
  return readArgument(reader, 4)
}

/** Reads a text string of printable ASCII. */
export function readText(reader: Reader): string {
  const length = readArgument(reader, 3)
  const start = reader.at
  if (length > reader.end - start) truncated(reader)
  reader.at = start + length
  let text = ''
  for (const byte of view(reader.bytes, start, reader.at)) {
    if (byte < 0x20 || byte > 0x7e) reader.fail('range', 'text of printable ASCII', start)
    text += String.fromCharCode(byte)
  }
  return text
}

/** Reads one byte that can only be this one. */
export function readExactly(reader: Reader, byte: number, what: string): void {
  if (reader.at >= reader.end) truncated(reader)
  const found = reader.bytes[reader.at]!
  if (found !== byte) reader.fail('type', `${what} (${hex(byte)}), not ${hex(found)}`, reader.at)
  reader.at++
}

/** A view of part of the bytes: never a Buffer, which costs more to make. */
export function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
}

/** Reads the argument of a head (RFC 8949 §3) of one major type: shortest form, below 2^53. */
export function readArgument(reader: Reader, major: number): number {
  const { bytes, at, end } = reader
  const head = at < end ? bytes[at]! : truncated(reader)
  if (head >> 5 !== major) reader.fail('type', `${majors[major]}, not ${hex(head)}`, at)
  const info = head & 31
  if (info < 24) {
    reader.at = at + 1
    return info
  }
  if (info > 27) reader.fail('not-canonical', 'a definite length', at)
  const next = at + 1 + (1 << (info - 24))
  if (next > end) truncated(reader)
  reader.at = next
  if (info === 24) {
    const value = bytes[at + 1]!
    if (value < 24) notShortest(reader, at)
    return value
  }
  if (info === 25) {
    const value = (bytes[at + 1]! << 8) | bytes[at + 2]!
    if (value < 0x100) notShortest(reader, at)
    return value
  }
  const word = uint32(bytes, at + 1)
  if (info === 26) {
    if (word < 0x10000) notShortest(reader, at)
    return word
  }
  if (word === 0) notShortest(reader, at)
  if (word > 0x1fffff) reader.fail('range', 'a number below 2^53', at)
  return word * 0x100000000 + uint32(bytes, at + 5)
}

const majors = ['an unsigned integer', 'a negative integer', 'a byte string', 'text', 'an array']

function uint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}

function truncated(reader: Reader): never {
  return reader.fail('truncated', 'more bytes', reader.end)
}

function notShortest(reader: Reader, at: number): never {
  return reader.fail('not-canonical', 'the shortest form of a number', at)
}
