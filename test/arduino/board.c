/*
 * A board in simavr, its serial port at a pseudo-terminal, in real time:
 *
 *   board MCU PROGRAM.hex
 *
 * Prints the terminal's path first. A step comes every 100 ms at D2, where an Uno has its pin 2.
 */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "avr_ioport.h"
#include "avr_uart.h"
#include "sim_avr.h"
#include "sim_hex.h"
#include "sim_time.h"

static int terminal;
static int ready;
static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

/* What nobody reads is gone, as on a wire. */
static void send(avr_irq_t *irq, uint32_t value, void *param) {
  const uint8_t byte = (uint8_t)value;
  (void)irq;
  (void)param;
  if (write(terminal, &byte, 1) < 0) return;
}

static void set_ready(avr_irq_t *irq, uint32_t value, void *param) {
  (void)irq;
  if (value) ready = param != NULL;
}

static avr_cycle_count_t step(avr_t *avr, avr_cycle_count_t when, void *param) {
  avr_irq_t *pin = param;
  avr_raise_irq(pin, 0);
  avr_raise_irq(pin, 1);
  return when + avr_usec_to_cycles(avr, 100000);
}

/* A byte, whenever the chip is ready for one; a byte takes 87 us. */
static avr_cycle_count_t receive(avr_t *avr, avr_cycle_count_t when, void *param) {
  uint8_t byte;
  if (ready && read(terminal, &byte, 1) == 1) avr_raise_irq(param, byte);
  return when + avr_usec_to_cycles(avr, 87);
}

int main(int argc, char *argv[]) {
  char path[128];
  uint32_t size, base, flags = 0;
  uint8_t *program;
  struct termios raw;
  int other, state;
  avr_t *avr;
  if (argc != 3) return 2;
  avr = avr_make_mcu_by_name(argv[1]);
  program = read_ihex_file(argv[2], &size, &base);
  if (avr == NULL || program == NULL || openpty(&terminal, &other, path, NULL, NULL) != 0) return 1;
  tcgetattr(other, &raw);
  cfmakeraw(&raw);
  tcsetattr(other, TCSANOW, &raw);
  fcntl(terminal, F_SETFL, O_NONBLOCK);

  avr_init(avr);
  avr->frequency = 16000000;
  memcpy(avr->flash + base, program, size);
  free(program);
  avr->codeend = avr->flashend;
  avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), send,
                          NULL);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON),
                          set_ready, &ready);
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF),
                          set_ready, NULL);
  avr_cycle_timer_register_usec(avr, 100000, step,
                                avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), 2));
  avr_cycle_timer_register_usec(avr, 1000, receive,
                                avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT));
  signal(SIGTERM, stop);
  printf("%s\n", path);
  fflush(stdout);
  do state = avr_run(avr);
  while (!stopped && state != cpu_Done && state != cpu_Crashed);
  return state == cpu_Crashed;
}
