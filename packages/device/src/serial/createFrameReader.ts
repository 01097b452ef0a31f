import { decodeFrame, type Frame, maxFrameBytes } from './encodeFrame.js'

/** What a line brought: a frame, or a stretch of bytes that is none. */
export type Stretch = { readonly frame: Frame | undefined }

/**
 * Cuts the bytes of a serial line into frames. Whatever comes, it is at work again after the next
 * zero, and never holds more than one frame.
 */
export function createFrameReader(): FrameReader {
  let held = new Uint8Array(512)
  let length = 0
  let tooLong = false

  function end(): Stretch | undefined {
    if (length === 0) return undefined
    const frame = tooLong ? undefined : decodeFrame(held.subarray(0, length))
    length = 0
    tooLong = false
    return { frame }
  }

  return {
    push(bytes) {
      const stretches: Stretch[] = []
      for (const byte of bytes) {
        if (byte === 0) {
          const stretch = end()
          if (stretch !== undefined) stretches.push(stretch)
        } else if (length === maxFrameBytes) tooLong = true
        else {
          if (length === held.length) {
            const larger = new Uint8Array(Math.min(2 * length, maxFrameBytes))
            larger.set(held)
            held = larger
          }
          held[length++] = byte
        }
      }
      return stretches
    },
    close() {
      const cut = length > 0
      length = 0
      tooLong = false
      return cut
    },
  }
}

export type FrameReader = {
  /** Takes bytes; returns what they ended, in order. */
  push(bytes: Uint8Array): readonly Stretch[]
  /** The line is gone. Whether it was cut within a stretch; the next byte begins a new one. */
  close(): boolean
}
