/*
 * What machinefi.h costs on an ATmega328P, for firmware.test.ts: the number of a case is written to
 * GPIOR0 before it, and 0 after it; sizes, low byte first, to GPIOR1.
 */
#include "../../examples/arduino-tracker/machinefi.h"

#include <avr/io.h>

static const uint8_t network[32] = {1}, address[20] = {2};
static mfi_device device;
static mfi_batch batch;
static mfi_link line;
static mfi_inbox inbox;
volatile uint8_t sink;

static void drop(void *ctx, const uint8_t *bytes, uint16_t length) {
  (void)ctx;
  while (length-- > 0) sink = *bytes++;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t rs[64]) {
  (void)ctx;
  memcpy(rs, digest, 32);
  memset(rs + 32, 0xff, 32); /* high: it is subtracted from the order */
  return 0;
}

/* What SHA-256 takes by itself: 64 bytes are two blocks. */
static void __attribute__((noinline)) hash(void) {
  uint8_t digest[32];
  mfi_sha256 sha;
  mfi_sha256_init(&sha);
  mfi_sha256_write(&sha, batch.rows, 64);
  mfi_sha256_finish(&sha, digest);
  sink = digest[0];
}

static void fill(uint8_t fields, uint8_t rows, uint8_t mark) {
  static const int64_t values[3] = {205, 553, 10132};
  uint8_t i;
  device.fields = fields;
  mfi_begin(&batch, &device, 7);
  for (i = 0; i < rows; i++) {
    if (i == 1) GPIOR0 = mark;
    mfi_add(&batch, 1700000000000ULL + 60000ULL * i, values);
    if (i == 1) GPIOR0 = 0;
  }
}

int main(void) {
  static const uint8_t ack[] = {0x03, 0x82, 0x01, 0x03, 0x11, 0x11};
  static const uint16_t sizes[4] = {sizeof(mfi_batch), sizeof(mfi_link), sizeof(mfi_inbox),
                                    sizeof(mfi_device) + sizeof network + sizeof address};
  const int64_t steps[1] = {10};
  uint8_t i;
  device.network = network;
  device.address = address;
  device.schema = 1;
  device.tick_ms = 1000;
  device.sign = sign;
  mfi_link_init(&line, drop, 0);
  mfi_inbox_init(&inbox);
  GPIOR0 = 0;
  for (i = 0; i < 4; i++) {
    GPIOR1 = (uint8_t)sizes[i];
    GPIOR1 = (uint8_t)(sizes[i] >> 8);
  }
  fill(3, 3, 2);
  fill(1, 60, 1);
  GPIOR0 = 3;
  mfi_seal(&batch);
  GPIOR0 = 0;
  GPIOR0 = 4;
  mfi_send_batch(&line, 1, &batch);
  GPIOR0 = 0;
  GPIOR0 = 5;
  mfi_send_reading(&line, 1, 0, steps, 1);
  GPIOR0 = 0;
  GPIOR0 = 6;
  for (i = 0; i < sizeof ack; i++) mfi_inbox_put(&inbox, ack[i]);
  mfi_inbox_put(&inbox, 0);
  GPIOR0 = 0;
  GPIOR0 = 7;
  hash();
  GPIOR0 = 0;
  GPIOR0 = 0xff;
  for (;;) sink = 0;
}
