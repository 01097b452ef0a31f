/** A member of a JSON object: its name, and where its value begins and ends. */
export type Member = { name: string; start: number; end: number }

const quote = 0x22
const backslash = 0x5c

/**
 * The members of a JSON object in the order they are in, those of one name all of them, with the
 * place of each value: what was signed is the text as it came, and `JSON.parse` keeps neither.
 *
 * @param json bytes that are known to be valid JSON.
 * @param start where the object begins.
 */
export function readMembers(json: Uint8Array, start: number): Member[] {
  const members: Member[] = []
  let at = skipSpace(json, skipSpace(json, start) + 1)
  while (json[at] === quote) {
    const end = skipString(json, at)
    const name: string = JSON.parse(decodeText(json.subarray(at, end)))
    // The colon.
    const value = skipSpace(json, skipSpace(json, end) + 1)
    const member = { name, start: value, end: skipValue(json, value) }
    members.push(member)
    // A comma, or the end.
    at = skipSpace(json, skipSpace(json, member.end) + 1)
  }
  return members
}

const decoder = /* @__PURE__ */ new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws {TypeError} not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

function skipSpace(json: Uint8Array, at: number): number {
  while (isSpace(json[at])) at++
  return at
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function skipString(json: Uint8Array, at: number): number {
  for (at++; at < json.length && json[at] !== quote; at++) if (json[at] === backslash) at++
  return at + 1
}

function skipValue(json: Uint8Array, at: number): number {
  for (let depth = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === quote) {
      at = skipString(json, at) - 1
      if (depth === 0) return at + 1
    } else if (byte === 0x7b || byte === 0x5b) depth++
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (byte === 0x2c || isSpace(byte))) return at
  }
  return at
}
