/**
 * HTTP/1.1 responses as they came over one connection, none of them to HEAD,
 * strictly: throws where the bytes are not exactly that.
 */
export function parseResponses(bytes: Buffer): ParsedResponse[] {
  const responses: ParsedResponse[] = []
  for (let at = 0; at < bytes.length; ) {
    const headEnd = bytes.indexOf('\r\n\r\n', at)
    const [first = '', ...lines] = bytes.toString('latin1', at, Math.max(headEnd, at)).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1])
    if (headEnd < 0 || Number.isNaN(status)) throw new MalformedResponseError(bytes, at)
    at = headEnd + 4
    const fields = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':')
        if (colon < 1) throw new MalformedResponseError(bytes, at)
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    if (status < 200) continue
    const parts: Buffer[] = []
    const take = (length: number) => {
      if (!(length <= bytes.length - at)) throw new MalformedResponseError(bytes, at)
      const part = bytes.subarray(at, at + length)
      at += length
      return part
    }
    if (fields.get('transfer-encoding') === 'chunked') {
      for (let length = -1; length !== 0; ) {
        const end = bytes.indexOf('\r\n', at)
        const digits = end < 0 ? '' : bytes.toString('latin1', at, end)
        if (!/^[0-9a-f]{1,8}$/i.test(digits)) throw new MalformedResponseError(bytes, at)
        length = Number.parseInt(digits, 16)
        at = end + 2
        parts.push(take(length))
        if (take(2).toString() !== '\r\n') throw new MalformedResponseError(bytes, at)
      }
    } else if (status !== 204)
      // To HTTP/1.0, a body of unknown length ends with the connection.
      parts.push(take(Number(fields.get('content-length') ?? bytes.length - at)))
    const body = Buffer.concat(parts)
    const type = fields.get('content-type')
    const problem =
      type === 'application/problem+json'
        ? (JSON.parse(body.toString()) as ParsedResponse['problem'])
        : undefined
    responses.push({ body, fields, problem, status, type })
  }
  return responses
}

export type ParsedResponse = {
  body: Buffer
  fields: ReadonlyMap<string, string>
  problem: { detail?: string; status: number; title: string; type: string } | undefined
  status: number
  /** Media type. */
  type: string | undefined
}

class MalformedResponseError extends Error {
  constructor(bytes: Buffer, at: number) {
    const around = bytes.toString('latin1', Math.max(0, at - 100), at + 100)
    super(`No response at byte ${at} of ${bytes.length}: ${JSON.stringify(around)}`)
  }
}
