import { concatBytes, fromHex } from '@machinefi/core'
import type { PebblePacket } from './decodePebble.js'
import { PebbleError } from './errors.js'
import { decodeText, type Member, readMembers } from './readMembers.js'

type Decoded = Pick<PebblePacket, 'message' | 'namedKey' | 'signature'>

/**
 * Decodes `{"message":{…},"signature":{"r":"…","s":"…"}}`: these members, once each, and no others.
 * What is signed is the text of `message`, byte for byte: 2020's has the name `temperature` twice,
 * and cJSON prints more digits than JavaScript, so it must never be parsed and printed again.
 *
 * @throws {PebbleError} `malformed` or `signature-length`.
 */
export function decodePebbleJson(json: Uint8Array): Decoded {
  const { message, signature } = readObject(json, parseObject(json), ['message', 'signature'])
  const { r, s } = readObject(json, signature, ['r', 's'])
  if (json[message.start] !== 0x7b) fail('its message is not an object')
  return {
    message: json.subarray(message.start, message.end),
    signature: concatBytes(readScalar(json, r), readScalar(json, s)),
    namedKey: findKey(json, message),
  }
}

/** Where the one object that the bytes are begins, once they are known to be JSON. */
function parseObject(json: Uint8Array): { start: number } {
  try {
    JSON.parse(decodeText(json))
  } catch {
    fail('it is not JSON')
  }
  return { start: json.findIndex((byte) => byte > 0x20) }
}

/** The members of an object that has exactly these, in any order. */
function readObject<const name extends string>(
  json: Uint8Array,
  object: { start: number },
  names: readonly name[],
): Record<name, Member> {
  if (json[object.start] !== 0x7b) fail(`there is no object with ${names.join(' and ')}`)
  const members = readMembers(json, object.start)
  const found = names.map((name) => members.find((member) => member.name === name))
  if (members.length !== names.length || found.includes(undefined))
    fail(`expected ${names.join(' and ')}, once each`)
  return Object.fromEntries(names.map((name, i) => [name, found[i]])) as Record<name, Member>
}

/** Pebble's hex: upper case, the low half of each byte first. */
const scalarPattern = /^"[0-9A-F]{64}"$/
const keyPattern = /^"[0-9A-F]{128}"$/

function readScalar(json: Uint8Array, { end, start }: Member): Uint8Array {
  const text = decodeText(json.subarray(start, end))
  if (scalarPattern.test(text)) return fromSwappedHex(text)
  // Firmware drops leading zeros: where r ends and s begins can then not be told.
  if (/^"[0-9A-F]{0,126}"$/.test(text))
    throw new PebbleError('signature-length', 'r and s do not have 32 bytes each.')
  return fail('r and s are not hex in upper case')
}

function findKey(json: Uint8Array, message: Member): Uint8Array | null {
  for (const { end, name, start } of readMembers(json, message.start)) {
    if (name !== 'eccPubkey' && name !== 'ecc_pubkey') continue
    const text = decodeText(json.subarray(start, end))
    return keyPattern.test(text) ? fromSwappedHex(text) : null
  }
  return null
}

function fromSwappedHex(quoted: string): Uint8Array {
  return fromHex(quoted.slice(1, -1).replaceAll(/(.)(.)/g, '$2$1'))
}

function fail(reason: string): never {
  throw new PebbleError('malformed', `Not a Pebble packet in JSON: ${reason}.`)
}
