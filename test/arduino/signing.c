/*
 * A board that signs, compiled for this machine, with its serial port at a pseudo-terminal:
 *
 *   signing ADDRESS
 *
 * Prints the terminal's path first. Then stdin and stdout are its secure element: a digest goes out
 * in hex, a line, and r and s come in.
 */
#define MFI_INBOX_BYTES 69
#include "../../examples/arduino-tracker/machinefi.h"

#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static int terminal;

static void send_bytes(void *ctx, const uint8_t *bytes, uint16_t length) {
  (void)ctx;
  if (write(terminal, bytes, length) != length) exit(1);
}

static void read_hex(uint8_t *bytes, const char *hex, int length) {
  unsigned byte;
  int i;
  for (i = 0; i < length && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++) bytes[i] = (uint8_t)byte;
}

static int ask(void *ctx, const uint8_t digest[32], uint8_t rs[64]) {
  char line[160];
  int i;
  (void)ctx;
  for (i = 0; i < 32; i++) printf("%02x", digest[i]);
  printf("\n");
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
  read_hex(rs, line, 64);
  return 0;
}

int main(int argc, char *argv[]) {
  static const uint8_t network[32];
  uint8_t address[20], byte;
  mfi_device device = {network, address, 1, 1000, 1, ask, NULL};
  struct termios raw;
  char path[128];
  mfi_link link;
  mfi_inbox inbox;
  int other;
  if (argc != 2 || openpty(&terminal, &other, path, NULL, NULL) != 0) return 1;
  read_hex(address, argv[1], 20);
  tcgetattr(other, &raw);
  cfmakeraw(&raw);
  tcsetattr(other, TCSANOW, &raw);
  printf("%s\n", path);
  fflush(stdout);
  mfi_link_init(&link, send_bytes, NULL);
  mfi_inbox_init(&inbox);
  mfi_send_hello(&link, 0, MFI_WANTS_ACKS);
  while (read(terminal, &byte, 1) == 1)
    if (mfi_inbox_put(&inbox, byte) && inbox.type == MFI_REGISTER)
      mfi_send_registration(&link, &inbox, &device);
  return 0;
}
