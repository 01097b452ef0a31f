// An ATECC608 on the I2C bus as the signer of machinefi.h: Nonce (pass-through), then Sign (external),
// with the key in slot 0. The chip must be provisioned and locked, so that slot 0 has a P-256 key
// that may sign. For AVR; the bus is polled, since Arduino's Wire sends at most 32 bytes at once.

#ifndef ATECC_H
#define ATECC_H

#include <Arduino.h>

static const uint8_t ateccAddress = 0x60;

static bool ateccWait() {
  for (uint16_t i = 0; i < 10000; i++)
    if (TWCR & _BV(TWINT)) return true;
  return false;
}

/* The bus's status after a byte, or 0. */
static uint8_t ateccTransfer(uint8_t control) {
  TWCR = _BV(TWINT) | _BV(TWEN) | control;
  return ateccWait() ? TWSR & 0xf8 : 0;
}

static bool ateccStart(uint8_t address, bool read) {
  ateccTransfer(_BV(TWSTA));
  TWDR = (uint8_t)(address << 1 | read);
  return ateccTransfer(0) == (read ? 0x40 : 0x18);
}

static void ateccStop() { TWCR = _BV(TWINT) | _BV(TWEN) | _BV(TWSTO); }

static void ateccWrite(uint8_t byte) {
  TWDR = byte;
  ateccTransfer(0);
}

static uint16_t ateccCrc(uint16_t crc, uint8_t byte) {
  for (uint8_t bit = 1; bit != 0; bit <<= 1) {
    const bool differ = ((byte & bit) != 0) != ((crc & 0x8000) != 0);
    crc <<= 1;
    if (differ) crc ^= 0x8005;
  }
  return crc;
}

/* Sends a command with its CRC. */
static bool ateccSend(uint8_t opcode, uint8_t param1, const uint8_t *data, uint8_t length) {
  const uint8_t head[5] = {(uint8_t)(7 + length), opcode, param1, 0, 0};
  uint16_t crc = 0;
  if (!ateccStart(ateccAddress, false)) {
    ateccStop();
    return false;
  }
  ateccWrite(0x03);
  for (uint8_t i = 0; i < 5 + length; i++) {
    const uint8_t byte = i < 5 ? head[i] : data[i - 5];
    crc = ateccCrc(crc, byte);
    ateccWrite(byte);
  }
  ateccWrite((uint8_t)crc);
  ateccWrite((uint8_t)(crc >> 8));
  ateccStop();
  return true;
}

/* Reads an answer of exactly `length` bytes. The chip does not answer to its address while it works. */
static bool ateccReceive(uint8_t *data, uint8_t length) {
  uint16_t crc = 0;
  uint8_t tries = 0;
  while (!ateccStart(ateccAddress, true)) {
    ateccStop();
    if (++tries == 250) return false;
    delay(1);
  }
  bool whole = true;
  for (uint8_t i = 0; i < length + 3; i++) {
    ateccTransfer(i < length + 2 ? _BV(TWEA) : 0);
    const uint8_t byte = TWDR;
    if (i == 0) whole = byte == length + 3;
    if (i > 0 && i <= length) data[i - 1] = byte;
    if (i <= length) crc = ateccCrc(crc, byte);
    else whole = whole && byte == (uint8_t)(i == length + 1 ? crc : crc >> 8);
  }
  ateccStop();
  return whole;
}

/* An mfi_sign_fn. */
static int ateccSign(void *, const uint8_t digest[32], uint8_t rs[64]) {
  uint8_t status;
  TWSR = 0;
  TWBR = (F_CPU / 100000 - 16) / 2;
  // Nobody has address 0: it only holds the line low for long enough to wake the chip.
  ateccStart(0, false);
  ateccStop();
  delay(2);
  const bool ok = ateccReceive(&status, 1) && status == 0x11 &&
                  ateccSend(0x16, 0x03, digest, 32) && ateccReceive(&status, 1) && status == 0 &&
                  ateccSend(0x41, 0x80, 0, 0) && ateccReceive(rs, 64);
  if (ateccStart(ateccAddress, false)) ateccWrite(0x01);  // sleep
  ateccStop();
  return ok ? 0 : 1;
}

#endif
