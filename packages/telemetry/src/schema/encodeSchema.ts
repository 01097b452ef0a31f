import { BaseError, sha256 } from '@machinefi/core'
import { type Reader, readArrayHead, readExactly, readText, readUint } from '../cbor/reader.js'
import {
  createWriter,
  maxHeadBytes,
  writeHead,
  writeIntOrNull,
  writeText,
  writtenBytes,
} from '../cbor/writer.js'
import { assertSchema, type Schema } from './defineSchema.js'

/**
 * Encodes a schema as deterministic CBOR: `[1, id, tickMs, [[name, unit, scale] …]]`.
 *
 * @throws {InvalidSchemaError} if the schema is out of bounds.
 */
export function encodeSchema(schema: Schema): Uint8Array {
  assertSchema(schema)
  // Heads take at most 9 bytes, name and unit at most 96.
  const writer = createWriter(
    (4 + 4 * schema.fields.length) * maxHeadBytes + schema.fields.length * 96,
  )
  writeHead(writer, 4, 4)
  writeIntOrNull(writer, 1)
  writeIntOrNull(writer, schema.id)
  writeIntOrNull(writer, schema.tickMs)
  writeHead(writer, 4, schema.fields.length)
  for (const { name, unit, scale } of schema.fields) {
    writeHead(writer, 4, 3)
    writeText(writer, name)
    writeText(writer, unit)
    writeIntOrNull(writer, scale)
  }
  return writtenBytes(writer)
}

/**
 * Decodes what {@link encodeSchema} wrote, and nothing else: any other form is refused.
 *
 * @throws {MalformedSchemaError} if the bytes are not canonical.
 * @throws {InvalidSchemaError} if the schema in them is out of bounds.
 */
export function decodeSchema(bytes: Uint8Array): Schema {
  const reader: Reader = { bytes, at: 0, end: bytes.length, fail }
  readExactly(reader, 0x84, 'an array of 4')
  readExactly(reader, 0x01, 'version 1')
  const id = readUint(reader)
  const tickMs = readUint(reader)
  const count = readArrayHead(reader)
  const fields = []
  for (let i = 0; i < count; i++) {
    readExactly(reader, 0x83, 'an array of 3')
    fields.push({ name: readText(reader), unit: readText(reader), scale: readUint(reader) })
  }
  if (reader.at !== reader.end) fail('type', 'the end', reader.at)
  const schema = { id, tickMs, fields }
  assertSchema(schema)
  return schema
}

/** SHA-256 of the encoded schema: what a network's configuration commits to. */
export function schemaHash(schema: Schema): Uint8Array {
  return sha256(encodeSchema(schema))
}

/** The bytes are not the canonical encoding of a schema. */
export class MalformedSchemaError extends BaseError {
  override readonly name = 'MalformedSchemaError'
  readonly offset: number
  constructor(expected: string, offset: number) {
    super(`Malformed schema at byte ${offset}: expected ${expected}.`, { kind: 'integrity' })
    this.offset = offset
  }
}

function fail(_problem: string, expected: string, offset: number): never {
  throw new MalformedSchemaError(expected, offset)
}
