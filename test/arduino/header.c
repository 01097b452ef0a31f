/*
 * The header behind stdin and stdout, for header.test.ts. Big-endian. In:
 *
 *   batch   'b' network[32] address[20] schema:4 tick:4 fields:1 seq:8 count:2 (time:8 value:8 ...) ...
 *   frame   'f' type:1 number:2 length:2 bytes
 *   reading 'r' number:2 age:4 fields:1 value:8 ...
 *   inbox   'i' length:2 bytes
 *   sign    's' address[20] length:2 bytes, of one frame
 *
 * Out: a byte for the result of each mfi_add; then, unless nothing was taken, the digest, for which
 * it reads r and s, the result of mfi_seal, and the batch, alone and in a frame. For the others the
 * frame; for an inbox a count of frames, and type:1 number:2 length:1 body of each. What varies in
 * length comes with its length:4 before it. To sign, the digest, for which it reads r and s, unless it
 * is none; the result of mfi_send_registration; and the frame, if there is one.
 */
#define MFI_ROWS_BYTES 4096
#define MFI_INBOX_BYTES 200
#include "../../examples/arduino-tracker/machinefi.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t out[20000];
static uint32_t length;

static void take(uint8_t *bytes, size_t count) {
  if (fread(bytes, 1, count, stdin) != count) exit(0);
}

static uint64_t number(int bytes) {
  uint64_t n = 0;
  uint8_t byte;
  while (bytes-- > 0) {
    take(&byte, 1);
    n = n << 8 | byte;
  }
  return n;
}

static void put(const uint8_t *bytes, size_t count) { fwrite(bytes, 1, count, stdout); }

static void put_out(void) {
  const uint8_t head[4] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8),
                           (uint8_t)length};
  put(head, 4);
  put(out, length);
  length = 0;
}

static void collect(void *ctx, const uint8_t *bytes, uint16_t count) {
  (void)ctx;
  memcpy(out + length, bytes, count);
  length += count;
}

static int ask(void *ctx, const uint8_t digest[32], uint8_t rs[64]) {
  (void)ctx;
  put(digest, 32);
  fflush(stdout);
  take(rs, 64);
  return 0;
}

static void batch(mfi_link *link) {
  static mfi_batch batch;
  uint8_t network[32], address[20], result;
  int64_t values[32];
  mfi_device device = {network, address, 0, 0, 0, ask, NULL};
  uint64_t seq;
  uint16_t count;
  int i;
  take(network, 32);
  take(address, 20);
  device.schema = (uint32_t)number(4);
  device.tick_ms = (uint32_t)number(4);
  device.fields = (uint8_t)number(1);
  seq = number(8);
  count = (uint16_t)number(2);
  mfi_begin(&batch, &device, seq);
  while (count-- > 0) {
    const uint64_t time = number(8);
    for (i = 0; i < device.fields; i++) values[i] = (int64_t)number(8);
    result = (uint8_t)-mfi_add(&batch, time, values);
    put(&result, 1);
  }
  result = (uint8_t)-mfi_seal(&batch);
  put(&result, 1);
  if (result != 0) return;
  mfi_write_batch(&batch, collect, NULL);
  put_out();
  mfi_send_batch(link, 0x1234, &batch);
  put_out();
}

static void sign(mfi_link *link) {
  static uint8_t bytes[1024];
  uint8_t address[20], network[32] = {0}, result;
  mfi_device device = {network, address, 1, 1000, 1, ask, NULL};
  mfi_inbox inbox;
  uint16_t count, i;
  take(address, 20);
  count = (uint16_t)number(2);
  take(bytes, count);
  mfi_inbox_init(&inbox);
  for (i = 0; i < count; i++) {
    if (!mfi_inbox_put(&inbox, bytes[i])) continue;
    result = (uint8_t)-mfi_send_registration(link, &inbox, &device);
    put(&result, 1);
    if (result == 0) put_out();
  }
}

int main(void) {
  static uint8_t bytes[65536];
  mfi_link link;
  mfi_inbox inbox;
  int64_t values[32];
  mfi_link_init(&link, collect, NULL);
  for (;;) {
    const uint8_t kind = (uint8_t)number(1);
    if (kind == 'b') {
      batch(&link);
    } else if (kind == 's') {
      sign(&link);
    } else if (kind == 'f') {
      const uint8_t type = (uint8_t)number(1);
      const uint16_t n = (uint16_t)number(2), count = (uint16_t)number(2);
      take(bytes, count);
      mfi_link_begin(&link, type, n);
      mfi_link_write(&link, bytes, count);
      mfi_link_end(&link);
      put_out();
    } else if (kind == 'r') {
      const uint16_t n = (uint16_t)number(2);
      const uint32_t age = (uint32_t)number(4);
      const uint8_t fields = (uint8_t)number(1);
      int i;
      for (i = 0; i < fields; i++) values[i] = (int64_t)number(8);
      mfi_send_reading(&link, n, age, values, fields);
      put_out();
    } else {
      const uint16_t count = (uint16_t)number(2);
      int i;
      take(bytes, count);
      mfi_inbox_init(&inbox);
      for (i = 0; i < count; i++)
        if (mfi_inbox_put(&inbox, bytes[i])) collect(NULL, inbox.bytes, (uint16_t)(inbox.length + 3));
      put_out();
    }
    fflush(stdout);
  }
}
