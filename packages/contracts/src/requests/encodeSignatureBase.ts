/** What of a request is signed: RFC 9421 §2.2. */
export type RequestTarget = {
  method: string
  /** Host, and port where it is not the scheme's own, in lower case. */
  authority: string
  /** As it is sent, percent-encoded. */
  path: string
  /** As it is sent, with its question mark; empty where there is none. */
  query: string
}

/** What can be covered, and must be but for the query of a request without one. */
export const components = ['@method', '@authority', '@path', '@query'] as const

export type Component = (typeof components)[number]

/**
 * The text that is signed, RFC 9421 §2.5.
 *
 * @param parameters the member of `Signature-Input`, from its parenthesis on, as it is sent.
 */
export function encodeSignatureBase(
  { authority, method, path, query }: RequestTarget,
  covered: readonly Component[],
  parameters: string,
): string {
  const values: Record<Component, string> = {
    '@method': method,
    '@authority': authority,
    '@path': path,
    '@query': query === '' ? '?' : query,
  }
  const lines = covered.map((component) => `"${component}": ${values[component]}`)
  return [...lines, `"@signature-params": ${parameters}`].join('\n')
}
