/**
 * Writes every address in a decoded value in lower case, the one form the SDK
 * has for them: viem decodes to the checksummed form, so that comparing and
 * keying on strings would depend on where an address came from.
 */
export function toLowerCase<const value>(value: value): value {
  return lower(value) as value
}

function lower(value: unknown): unknown {
  if (typeof value === 'string')
    return /^0x[0-9a-fA-F]{40}$/.test(value) ? value.toLowerCase() : value
  if (Array.isArray(value)) return value.map(lower)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, lower(item)]))
}
