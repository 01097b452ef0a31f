/** A line without its end; `number` counts from 1. */
export type Line = { number: number; bytes: Uint8Array }

/**
 * Cuts chunks into lines, which end in `\n` or `\r\n`. Empty ones are counted and left out. Of a
 * line longer than `maxBytes` comes one byte more than that, and no more is kept.
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  options: { maxBytes: number },
): AsyncGenerator<Line> {
  const { maxBytes } = options
  let number = 0
  let held: Uint8Array[] = []
  let length = 0
  const hold = (part: Uint8Array) => {
    // One more than the line may have, and the `\r` of its end.
    const room = maxBytes + 2 - length
    if (room > 0 && part.length > 0) held.push(part.subarray(0, room))
    length += part.length
  }
  const cut = (): Line => {
    const bytes = held.length === 1 ? (held[0] as Uint8Array) : Buffer.concat(held)
    const end = bytes.at(-1) === 0x0d && length === bytes.length ? bytes.length - 1 : bytes.length
    held = []
    length = 0
    return { number, bytes: bytes.subarray(0, Math.min(end, maxBytes + 1)) }
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      hold(chunk.subarray(start, end))
      start = end + 1
      number++
      const line = cut()
      if (line.bytes.length > 0) yield line
    }
    // A copy: what a stream hands out may be written again.
    hold(chunk.slice(start))
  }
  number++
  const last = cut()
  if (last.bytes.length > 0) yield last
}
