/*
 * machinefi.h: signed batches and serial frames for boards too small for an SDK.
 *
 * One header, C99 (and C++ as Arduino has it), nothing but <stdint.h> and <string.h>, no malloc.
 * It writes the bytes of docs/protocol/wire-format.md and docs/protocol/serial.md, and no others.
 *
 *   mfi_batch  collects readings, hashes them (SHA-256 is built in), has the digest signed by any
 *              P-256 there is, and writes the signed batch
 *   mfi_link   frames for a serial line: COBS, CRC-16, numbers
 *   mfi_inbox  frames from the line
 *
 * RAM on an AVR, with the defaults: mfi_batch 383 bytes, mfi_link 262, mfi_inbox 28, constants 29.
 * The deepest call, mfi_seal, takes 90 of stack, SHA-256 260 on top of it while it works, and the
 * signer what it takes. Define MFI_ROWS_BYTES and MFI_INBOX_BYTES before the #include to choose
 * other sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MACHINEFI_H
#define MACHINEFI_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for the encoded rows of one batch, at most 65,532; the network has a bound too (4,096). */
#ifndef MFI_ROWS_BYTES
#define MFI_ROWS_BYTES 256
#endif

/*
 * Room for what the host sends: the longest packet to a board that wants no receipts has 13 bytes,
 * and 69 to one that signs its registration.
 */
#ifndef MFI_INBOX_BYTES
#define MFI_INBOX_BYTES 20
#endif

/* A value that is not there. */
#define MFI_NULL (-9223372036854775807LL - 1)
#define MFI_MAX_INTEGER 9007199254740991LL
#define MFI_MAX_FIELDS 22

#define MFI_OK 0
#define MFI_FULL (-1)   /* no room for the reading: seal and write the batch, begin the next */
#define MFI_TIME (-2)   /* a second reading in one tick, or a clock that went back */
#define MFI_RANGE (-3)  /* an integer out of bounds; or no fields, or more than 22 */
#define MFI_EMPTY (-4)  /* nothing to seal */
#define MFI_SIGN (-5)   /* the signer failed */
#define MFI_SEALED (-6) /* sealed already (mfi_add), or not yet (mfi_write_batch) */

/*
 * Signs a digest with P-256: r and s, 32 bytes each, big-endian; s may be high. 0 if it did.
 * micro-ecc, mbedTLS, BearSSL, or a secure element that takes a digest.
 */
typedef int (*mfi_sign_fn)(void *ctx, const uint8_t digest[32], uint8_t rs[64]);

/* Takes bytes on their way out. */
typedef void (*mfi_write_fn)(void *ctx, const uint8_t *bytes, uint16_t length);

/* Who signs, for which network, in which schema. */
typedef struct {
  const uint8_t *network; /* id, 32 bytes */
  const uint8_t *address; /* of the device, 20 bytes: the end of keccak256(X || Y) */
  uint32_t schema;
  uint32_t tick_ms;
  uint8_t fields; /* values of a reading, 1 to 22 */
  mfi_sign_fn sign;
  void *sign_ctx;
} mfi_device;

typedef struct {
  const mfi_device *device;
  uint64_t seq;
  uint64_t start; /* ms */
  uint64_t last;  /* ms */
  uint16_t count;
  uint16_t length; /* of rows */
  uint8_t sealed;
  uint8_t hash[32];
  uint8_t signature[64];
  uint8_t rows[MFI_ROWS_BYTES];
} mfi_batch;

/* ---- SHA-256 (FIPS 180-4) ---- */

typedef struct {
  uint32_t state[8];
  uint32_t length; /* bytes */
  union {
    uint8_t bytes[64];
    uint32_t words[16];
  } block;
} mfi_sha256;

#ifdef __AVR__
#include <avr/pgmspace.h>
#define MFI_CONST PROGMEM
#define MFI_READ32(p) pgm_read_dword(p)
#define MFI_READ8(p) pgm_read_byte(p)
#else
#define MFI_CONST
#define MFI_READ32(p) (*(p))
#define MFI_READ8(p) (*(p))
#endif

static const uint32_t mfi_k[64] MFI_CONST = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const uint32_t mfi_h[8] MFI_CONST = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* By whole bytes, then by at most 4 bits: chips of 8 bits have no other way. n is 1 to 27. */
static inline uint32_t mfi_rotate(uint32_t x, uint8_t n) {
  if (n > 19)
    x = x << 8 | x >> 24, n = (uint8_t)(n + 8);
  else if (n > 11)
    x = x << 16 | x >> 16, n = (uint8_t)(n + 16);
  else if (n > 4)
    x = x << 24 | x >> 8, n = (uint8_t)(n + 24);
  for (; n > 32; n--) x = x << 31 | x >> 1;
  if (n > 4)
    for (; n < 32; n++) x = x << 1 | x >> 31;
  else
    for (; n > 0; n--) x = x << 31 | x >> 1;
  return x;
}

/* The schedule is written over the block, and over itself as it is used: no word beside it. */
static inline void mfi_sha256_block(mfi_sha256 *sha) {
  uint32_t v[8], *const w = sha->block.words;
  uint8_t i;
  for (i = 0; i < 16; i++) {
    const uint8_t *b = sha->block.bytes + 4 * i;
    w[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
  }
  memcpy(v, sha->state, sizeof v);
  for (i = 0; i < 64; i++) {
    uint32_t a, e, t1, t2;
    if (i >= 16) {
      uint32_t x = w[(i + 1) & 15], y = w[(i + 14) & 15];
      w[i & 15] += (mfi_rotate(x, 7) ^ mfi_rotate(x, 18) ^ x >> 3) + w[(i + 9) & 15] +
                   (mfi_rotate(y, 17) ^ mfi_rotate(y, 19) ^ y >> 10);
    }
    a = v[0];
    e = v[4];
    t1 = v[7] + (mfi_rotate(e, 6) ^ mfi_rotate(e, 11) ^ mfi_rotate(e, 25)) +
         ((e & v[5]) ^ (~e & v[6])) + MFI_READ32(mfi_k + i) + w[i & 15];
    t2 = (mfi_rotate(a, 2) ^ mfi_rotate(a, 13) ^ mfi_rotate(a, 22)) +
         ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 28);
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (i = 0; i < 8; i++) sha->state[i] += v[i];
}

static inline void mfi_sha256_init(mfi_sha256 *sha) {
  uint8_t i;
  for (i = 0; i < 8; i++) sha->state[i] = MFI_READ32(mfi_h + i);
  sha->length = 0;
}

/* An mfi_write_fn. */
static inline void mfi_sha256_write(void *ctx, const uint8_t *bytes, uint16_t length) {
  mfi_sha256 *sha = (mfi_sha256 *)ctx;
  while (length-- > 0) {
    sha->block.bytes[sha->length++ & 63] = *bytes++;
    if ((sha->length & 63) == 0) mfi_sha256_block(sha);
  }
}

static inline void mfi_sha256_finish(mfi_sha256 *sha, uint8_t digest[32]) {
  const uint32_t bits = sha->length << 3; /* below 2^32: a batch has 65,535 bytes at most */
  uint8_t i, byte = 0x80;
  mfi_sha256_write(sha, &byte, 1);
  byte = 0;
  while ((sha->length & 63) != 56) mfi_sha256_write(sha, &byte, 1);
  for (i = 0; i < 8; i++) {
    byte = (uint8_t)(i < 4 ? 0 : bits >> (56 - 8 * i));
    mfi_sha256_write(sha, &byte, 1);
  }
  for (i = 0; i < 32; i++) digest[i] = (uint8_t)(sha->state[i >> 2] >> (24 - 8 * (i & 3)));
}

/* ---- CBOR, the deterministic form (RFC 8949, 4.2.1) ---- */

/* Writes a head: the major type in the upper three bits, the argument shortest. 1 to 9 bytes. */
static inline uint8_t mfi_head(uint8_t *out, uint8_t major, uint64_t n) {
  uint8_t size = n < 24 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x100000000ULL ? 4 : 8;
  uint8_t i;
  out[0] = (uint8_t)(major << 5 |
                     (size == 0 ? (uint8_t)n : size == 1 ? 24 : size == 2 ? 25 : size == 4 ? 26 : 27));
  for (i = size; i > 0; i--) {
    out[i] = (uint8_t)n;
    n >>= 8;
  }
  return (uint8_t)(1 + size);
}

/* Writes an integer, or null for MFI_NULL: 1 to 9 bytes; 0 if it is out of bounds. */
static inline uint8_t mfi_integer(uint8_t *out, int64_t value) {
  if (value == MFI_NULL) {
    out[0] = 0xf6;
    return 1;
  }
  if (value > MFI_MAX_INTEGER || value < -MFI_MAX_INTEGER) return 0;
  return value < 0 ? mfi_head(out, 1, (uint64_t)(-1 - value)) : mfi_head(out, 0, (uint64_t)value);
}

static inline void mfi_write_head(mfi_write_fn write, void *ctx, uint8_t major, uint64_t n) {
  uint8_t head[9];
  write(ctx, head, mfi_head(head, major, n));
}

/*
 * Writes one row, [dt, values ...], into at most `room` bytes.
 * Its length; 0 if it does not fit, or MFI_RANGE.
 */
static inline int16_t mfi_row(uint8_t *out, uint16_t room, uint64_t dt, const int64_t *values,
                              uint8_t fields) {
  uint8_t item[9], size, i;
  uint16_t length = 1;
  if (fields < 1 || fields > MFI_MAX_FIELDS || dt > MFI_MAX_INTEGER) return MFI_RANGE;
  for (i = 0; i <= fields; i++) {
    size = i == 0 ? mfi_head(item, 0, dt) : mfi_integer(item, values[i - 1]);
    if (size == 0) return MFI_RANGE;
    if (length + size > room) return 0;
    memcpy(out + length, item, size);
    length += size;
  }
  out[0] = (uint8_t)(0x80 | (fields + 1));
  return (int16_t)length;
}

/* ---- Batches ---- */

/* Starts a batch. `seq` must be in memory that lasts before mfi_seal: no seq is signed twice. */
static inline void mfi_begin(mfi_batch *batch, const mfi_device *device, uint64_t seq) {
  batch->device = device;
  batch->seq = seq;
  batch->start = batch->last = 0;
  batch->count = batch->length = 0;
  batch->sealed = 0;
}

/*
 * Adds a reading: Unix time in ms, aligned down to the tick, and one integer (or MFI_NULL) per
 * field, scaled as the schema says. What is not MFI_OK took nothing.
 */
static inline int mfi_add(mfi_batch *batch, uint64_t time_ms, const int64_t *values) {
  const mfi_device *device = batch->device;
  uint64_t dt = 0;
  int16_t length;
  if (batch->sealed) return MFI_SEALED;
  if (time_ms > MFI_MAX_INTEGER || device->tick_ms == 0) return MFI_RANGE;
  time_ms -= time_ms % device->tick_ms;
  if (batch->count > 0) {
    if (time_ms <= batch->last) return MFI_TIME;
    dt = (time_ms - batch->last) / device->tick_ms;
  }
  if (batch->count == 0xffff) return MFI_FULL;
  length = mfi_row(batch->rows + batch->length, MFI_ROWS_BYTES - batch->length, dt, values,
                   device->fields);
  if (length < 0) return length;
  if (length == 0) return MFI_FULL;
  batch->length += (uint16_t)length;
  if (batch->count++ == 0) batch->start = time_ms;
  batch->last = time_ms;
  return MFI_OK;
}

static inline void mfi_write_records(const mfi_batch *batch, mfi_write_fn write, void *ctx) {
  mfi_write_head(write, ctx, 4, batch->count);
  write(ctx, batch->rows, batch->length);
}

/* Bytes of a head with this argument. */
static inline uint8_t mfi_head_size(uint64_t n) {
  return n < 24 ? 1 : n < 0x100 ? 2 : n < 0x10000 ? 3 : n < 0x100000000ULL ? 5 : 9;
}

/* The integers of a header, in their order. */
static inline uint64_t mfi_number(const mfi_batch *batch, uint8_t i) {
  return i == 0   ? batch->device->schema
         : i == 1 ? batch->seq
         : i == 2 ? batch->start
         : i == 3 ? batch->last - batch->start
                  : batch->count;
}

static inline void mfi_write_payload(const mfi_batch *batch, mfi_write_fn write, void *ctx) {
  static const uint8_t version[2] = {0x88, 0x01}, null[1] = {0xf6};
  uint8_t i, length = 2 + 34 + 1;
  for (i = 0; i < 5; i++) length = (uint8_t)(length + mfi_head_size(mfi_number(batch, i)));
  mfi_write_head(write, ctx, 2, length);
  write(ctx, version, 2);
  for (i = 0; i < 5; i++) mfi_write_head(write, ctx, 0, mfi_number(batch, i));
  mfi_write_head(write, ctx, 2, 32);
  write(ctx, batch->hash, 32);
  write(ctx, null, 1);
}

/* The protected header: ES256, and the device's address. */
static inline void mfi_write_protected(const mfi_batch *batch, mfi_write_fn write, void *ctx) {
  static const uint8_t head[7] = {0x58, 0x19, 0xa2, 0x01, 0x26, 0x04, 0x54};
  write(ctx, head, 7);
  write(ctx, batch->device->address, 20);
}

/* Half the order of P-256, rounded down, and the order. */
static const uint8_t mfi_half_order[32] MFI_CONST = {
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8};
static const uint8_t mfi_order[32] MFI_CONST = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* Puts s into the lower half of the order: chips do not. */
static inline void mfi_lower_s(uint8_t s[32]) {
  uint8_t i;
  int16_t borrow = 0;
  for (i = 0; i < 32 && s[i] == MFI_READ8(mfi_half_order + i);) i++;
  if (i == 32 || s[i] < MFI_READ8(mfi_half_order + i)) return;
  for (i = 32; i-- > 0;) {
    borrow = (int16_t)(borrow + MFI_READ8(mfi_order + i) - s[i]);
    s[i] = (uint8_t)borrow;
    borrow = borrow < 0 ? -1 : 0;
  }
}

/* SHA-256 of the Sig_structure: what is signed, and the batch's id. The records are hashed. */
static inline void mfi_batch_id(const mfi_batch *batch, uint8_t id[32]) {
  static const uint8_t context[12] = {0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1'};
  static const uint8_t external[2] = {0x58, 0x20};
  mfi_sha256 sha;
  mfi_sha256_init(&sha);
  mfi_sha256_write(&sha, context, 12);
  mfi_write_protected(batch, mfi_sha256_write, &sha);
  mfi_sha256_write(&sha, external, 2);
  mfi_sha256_write(&sha, batch->device->network, 32);
  mfi_write_payload(batch, mfi_sha256_write, &sha);
  mfi_sha256_finish(&sha, id);
}

static inline void mfi_hash_records(mfi_batch *batch) {
  mfi_sha256 sha;
  mfi_sha256_init(&sha);
  mfi_write_records(batch, mfi_sha256_write, &sha);
  mfi_sha256_finish(&sha, batch->hash);
}

/* Closes a batch and has it signed. After MFI_SIGN it may be tried again: it is the same batch. */
static inline int mfi_seal(mfi_batch *batch) {
  uint8_t digest[32];
  if (batch->count == 0) return MFI_EMPTY;
  if (batch->seq > MFI_MAX_INTEGER) return MFI_RANGE;
  mfi_hash_records(batch);
  mfi_batch_id(batch, digest);
  if (batch->device->sign(batch->device->sign_ctx, digest, batch->signature) != 0) return MFI_SIGN;
  mfi_lower_s(batch->signature + 32);
  batch->sealed = 1;
  return MFI_OK;
}

/* Writes a sealed batch, in pieces; as often as one likes, and always the same bytes. */
static inline int mfi_write_batch(const mfi_batch *batch, mfi_write_fn write, void *ctx) {
  static const uint8_t head[2] = {0x82, 0x84}, unprotected[1] = {0xa0}, signature[2] = {0x58, 0x40};
  if (!batch->sealed) return MFI_SEALED;
  write(ctx, head, 2);
  mfi_write_protected(batch, write, ctx);
  write(ctx, unprotected, 1);
  mfi_write_payload(batch, write, ctx);
  write(ctx, signature, 2);
  write(ctx, batch->signature, 64);
  mfi_write_head(write, ctx, 2, (uint64_t)mfi_head_size(batch->count) + batch->length);
  mfi_write_records(batch, write, ctx);
  return MFI_OK;
}

/* ---- Frames ---- */

#define MFI_SERIAL_VERSION 1

/* To the host. */
#define MFI_HELLO 0x01
#define MFI_READING 0x02
#define MFI_BATCH 0x03
#define MFI_REGISTRATION 0x04
/* From the host. */
#define MFI_CLOCK 0x81
#define MFI_ACK 0x82
#define MFI_REFUSED 0x83
#define MFI_RECEIPT 0x84
#define MFI_REGISTER 0x85

/* What a board asks for in its hello. */
#define MFI_WANTS_ACKS 1
#define MFI_WANTS_RECEIPTS 2

/* CRC-16/IBM-3740: 0x29b1 for "123456789". */
static inline uint16_t mfi_crc16(uint16_t crc, uint8_t byte) {
  crc = (uint16_t)(crc >> 8 | crc << 8) ^ byte;
  crc ^= (uint8_t)crc >> 4;
  crc ^= (uint16_t)(crc << 12);
  return crc ^ (uint16_t)((uint16_t)(uint8_t)crc << 5);
}

/* The way out. COBS needs the distance to the next zero before what is in between. */
typedef struct {
  mfi_write_fn write;
  void *ctx;
  uint16_t crc;
  uint8_t filled;
  uint8_t block[255];
} mfi_link;

static inline void mfi_cobs_flush(mfi_link *link) {
  link->block[0] = (uint8_t)(link->filled + 1);
  link->write(link->ctx, link->block, (uint16_t)(link->filled + 1));
  link->filled = 0;
}

static inline void mfi_cobs_put(mfi_link *link, uint8_t byte) {
  /* Full, and known to go on: a frame that ends with a full block has nothing after it. */
  if (link->filled == 254) mfi_cobs_flush(link);
  if (byte == 0)
    mfi_cobs_flush(link);
  else
    link->block[++link->filled] = byte;
}

/* An mfi_write_fn: bytes of the frame that was begun. */
static inline void mfi_link_write(void *ctx, const uint8_t *bytes, uint16_t length) {
  mfi_link *link = (mfi_link *)ctx;
  while (length-- > 0) {
    link->crc = mfi_crc16(link->crc, *bytes);
    mfi_cobs_put(link, *bytes++);
  }
}

static inline void mfi_link_init(mfi_link *link, mfi_write_fn write, void *ctx) {
  link->write = write;
  link->ctx = ctx;
}

/* Begins a frame. The zero before it ends whatever was on the line. */
static inline void mfi_link_begin(mfi_link *link, uint8_t type, uint16_t number) {
  const uint8_t zero = 0;
  const uint8_t head[3] = {type, (uint8_t)(number >> 8), (uint8_t)number};
  link->write(link->ctx, &zero, 1);
  link->crc = 0xffff;
  link->filled = 0;
  mfi_link_write(link, head, 3);
}

static inline void mfi_link_end(mfi_link *link) {
  const uint8_t zero = 0;
  const uint16_t crc = link->crc;
  mfi_cobs_put(link, (uint8_t)(crc >> 8));
  mfi_cobs_put(link, (uint8_t)crc);
  mfi_cobs_flush(link);
  link->write(link->ctx, &zero, 1);
}

/* Says that the board has started, and what it wants. Numbers count from here. */
static inline void mfi_send_hello(mfi_link *link, uint16_t number, uint8_t wants) {
  const uint8_t body[2] = {MFI_SERIAL_VERSION, wants};
  mfi_link_begin(link, MFI_HELLO, number);
  mfi_link_write(link, body, 2);
  mfi_link_end(link);
}

/* Sends a reading that the host will sign: its age in ms, and its values. MFI_OK or MFI_RANGE. */
static inline int mfi_send_reading(mfi_link *link, uint16_t number, uint32_t age_ms,
                                   const int64_t *values, uint8_t fields) {
  uint8_t item[9], i;
  if (fields < 1 || fields > MFI_MAX_FIELDS) return MFI_RANGE;
  for (i = 0; i < fields; i++)
    if (mfi_integer(item, values[i]) == 0) return MFI_RANGE;
  mfi_link_begin(link, MFI_READING, number);
  mfi_write_head(mfi_link_write, link, 4, (uint64_t)fields + 1);
  mfi_write_head(mfi_link_write, link, 0, age_ms);
  for (i = 0; i < fields; i++) mfi_link_write(link, item, mfi_integer(item, values[i]));
  mfi_link_end(link);
  return MFI_OK;
}

/* Sends a sealed batch. */
static inline int mfi_send_batch(mfi_link *link, uint16_t number, const mfi_batch *batch) {
  if (!batch->sealed) return MFI_SEALED;
  mfi_link_begin(link, MFI_BATCH, number);
  mfi_write_batch(batch, mfi_link_write, link);
  mfi_link_end(link);
  return MFI_OK;
}

/* The way in: fed byte by byte, it has a frame when the zero after it comes. */
typedef struct {
  uint8_t type;
  uint16_t number;
  uint8_t length; /* of the body, which is at bytes + 3 */
  uint8_t filled;
  uint8_t left;  /* of the COBS block */
  uint8_t bad;   /* too long, or no COBS: skipped to the next zero */
  uint8_t zero;  /* the block that ends stands for a zero */
  uint8_t bytes[MFI_INBOX_BYTES];
} mfi_inbox;

static inline void mfi_inbox_init(mfi_inbox *inbox) { memset(inbox, 0, sizeof *inbox); }

/* 1 if this byte ended a whole frame: it is in the inbox until the next byte is put. */
static inline int mfi_inbox_put(mfi_inbox *inbox, uint8_t byte) {
  uint16_t crc = 0xffff;
  uint8_t i, filled = inbox->filled;
  if (byte == 0) {
    const uint8_t whole = !inbox->bad && inbox->left == 0 && filled >= 5;
    inbox->filled = inbox->left = inbox->bad = inbox->zero = 0;
    if (!whole) return 0;
    for (i = 0; i < filled; i++) crc = mfi_crc16(crc, inbox->bytes[i]);
    if (crc != 0) return 0; /* over a message and its own CRC */
    inbox->type = inbox->bytes[0];
    inbox->number = (uint16_t)(inbox->bytes[1] << 8 | inbox->bytes[2]);
    inbox->length = (uint8_t)(filled - 5);
    return 1;
  }
  if (inbox->bad) return 0;
  if (filled == MFI_INBOX_BYTES && (inbox->left > 0 || inbox->zero)) {
    inbox->bad = 1;
  } else if (inbox->left > 0) {
    inbox->bytes[inbox->filled++] = byte;
    inbox->left--;
  } else {
    if (inbox->zero) inbox->bytes[inbox->filled++] = 0;
    inbox->left = (uint8_t)(byte - 1);
    inbox->zero = byte != 0xff;
  }
  return 0;
}

/* The time in a MFI_CLOCK: Unix time, ms. */
static inline uint64_t mfi_inbox_time(const mfi_inbox *inbox) {
  uint64_t time = 0;
  uint8_t i;
  for (i = 0; i < 8; i++) time = time << 8 | inbox->bytes[3 + i];
  return time;
}

#if MFI_INBOX_BYTES >= 69
/*
 * Signs what a MFI_REGISTER asks for, and sends it with the device's address.
 *
 * The line chooses 64 of the bytes that are hashed and signed, but not the first two: 19 01, as of
 * EIP-712. A batch is signed over bytes that begin with 84, so no signature given here is one of a
 * batch. Never sign a digest, or bytes from their first on, that came over the line.
 */
static inline int mfi_send_registration(mfi_link *link, const mfi_inbox *inbox,
                                        const mfi_device *device) {
  static const uint8_t eip712[2] = {0x19, 0x01};
  uint8_t digest[32], rs[64];
  mfi_sha256 sha;
  if (inbox->length != 64) return MFI_RANGE;
  mfi_sha256_init(&sha);
  mfi_sha256_write(&sha, eip712, 2);
  mfi_sha256_write(&sha, inbox->bytes + 3, 64);
  mfi_sha256_finish(&sha, digest);
  if (device->sign(device->sign_ctx, digest, rs) != 0) return MFI_SIGN;
  mfi_lower_s(rs + 32);
  mfi_link_begin(link, MFI_REGISTRATION, inbox->number);
  mfi_link_write(link, device->address, 20);
  mfi_link_write(link, rs, 64);
  mfi_link_end(link);
  return MFI_OK;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
