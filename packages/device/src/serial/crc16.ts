/**
 * CRC-16/IBM-3740, also known as CRC-16/CCITT-FALSE: polynomial 0x1021, begun with 0xffff, not
 * reflected. Of the nine characters `123456789` it is 0x29b1; of a message and its own CRC,
 * big-endian, it is 0.
 */
export function crc16(bytes: Uint8Array): number {
  let crc = 0xffff
  for (const byte of bytes) {
    let x = (crc >> 8) ^ byte
    x ^= x >> 4
    crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xffff
  }
  return crc
}
