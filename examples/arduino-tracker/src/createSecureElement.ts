import { p256 } from '@noble/curves/nist.js'
import type { AVRTWI, TWIEventHandler } from 'avr8js'

/**
 * As much of an ATECC608 as the sketch asks for: it wakes up, takes 32 bytes (Nonce, pass-through)
 * and signs them (Sign, external). Like the chip it leaves s as it comes.
 *
 * @param privateKey 32 bytes, P-256: the key in slot 0.
 */
export function createSecureElement(
  privateKey: Uint8Array,
): (twi: AVRTWI) => TWIEventHandler & { signatures(): number } {
  return (twi) => {
    let received: number[] = []
    let answer: number[] = []
    let digest: Uint8Array | undefined
    let signatures = 0

    function execute([word, count = 0, opcode, ...rest]: readonly number[]) {
      if (word !== 0x03) return
      const body = rest.slice(0, count - 4)
      const crc = crc16([count, opcode!, ...body])
      const sent = rest.slice(count - 4)
      if (sent[0] !== (crc & 0xff) || sent[1] !== crc >> 8) return void reply([0xff])
      const [parameter] = body
      if (opcode === 0x16 && parameter === 0x03 && body.length === 35) {
        digest = Uint8Array.from(body.slice(3))
        reply([0])
      } else if (opcode === 0x41 && parameter === 0x80 && digest !== undefined) {
        signatures++
        reply(p256.sign(digest, privateKey, { lowS: false, prehash: false }))
        digest = undefined
      } else reply([0x03])
    }

    function reply(data: Iterable<number>) {
      const bytes = [...data]
      bytes.unshift(bytes.length + 3)
      const crc = crc16(bytes)
      answer = [...bytes, crc & 0xff, crc >> 8]
    }

    return {
      signatures: () => signatures,
      start() {
        received = []
        twi.completeStart()
      },
      stop() {
        execute(received)
        received = []
        twi.completeStop()
      },
      connectToSlave(address, write) {
        if (address === 0) reply([0x11])
        twi.completeConnect(address === 0x60 && (write || answer.length > 0))
      },
      writeByte(byte) {
        received.push(byte)
        twi.completeWrite(true)
      },
      readByte() {
        twi.completeRead(answer.shift() ?? 0xff)
      },
    }
  }
}

/** The chip's own CRC-16: polynomial 0x8005, the bits of each byte lowest first. */
function crc16(bytes: readonly number[]): number {
  let crc = 0
  for (const byte of bytes)
    for (let bit = 1; bit < 256; bit <<= 1) {
      const differ = ((byte & bit) !== 0) !== ((crc & 0x8000) !== 0)
      crc = ((crc << 1) & 0xffff) ^ (differ ? 0x8005 : 0)
    }
  return crc
}
