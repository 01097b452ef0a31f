// A step counter on an Arduino Uno: it has no key, no clock and no storage. Once a second it sends
// the steps of that second over USB; `machinefi bridge` on the other end signs them as its device.
//
// Copy machinefi.h beside this file, or build it as build.mjs does.

#include <Arduino.h>
#include <avr/sleep.h>
#include "machinefi.h"

const uint8_t sensorPin = 2;        // a falling edge is a step
const uint32_t readingEveryMs = 1000;
const uint32_t resendAfterMs = 500;
const uint8_t maxWaiting = 32;      // readings kept while the bridge does not answer: 32 s

struct Reading {
  uint32_t takenAt;
  uint16_t number;
  uint16_t steps;
};

static Reading waiting[maxWaiting];
static uint8_t oldest, count;
static uint16_t nextNumber = 1;     // 0 is the hello's
static bool greeted;
static uint32_t sentAt, readingAt;
static volatile uint16_t steps;
static mfi_link line;
static mfi_inbox inbox;

static void countStep() { steps++; }

static void writeSerial(void *, const uint8_t *bytes, uint16_t length) {
  Serial.write(bytes, length);
}

static void forgetOldest() {
  oldest = (oldest + 1) % maxWaiting;
  count--;
  sentAt = millis() - resendAfterMs;  // the next one may go at once
}

// A reading has its number from the moment it is taken: one that is given up leaves a gap that the
// bridge sees and counts.
static void takeReading(uint32_t now) {
  if (count == maxWaiting) forgetOldest();
  Reading &reading = waiting[(oldest + count++) % maxWaiting];
  reading.takenAt = now;
  reading.number = nextNumber++;
  noInterrupts();
  reading.steps = steps;
  steps = 0;
  interrupts();
}

static void send(uint32_t now) {
  sentAt = now;
  if (!greeted) {
    mfi_send_hello(&line, 0, MFI_WANTS_ACKS);
    return;
  }
  const Reading &reading = waiting[oldest];
  const int64_t values[1] = {reading.steps};
  mfi_send_reading(&line, reading.number, now - reading.takenAt, values, 1);
}

void setup() {
  pinMode(sensorPin, INPUT_PULLUP);
  attachInterrupt(digitalPinToInterrupt(sensorPin), countStep, FALLING);
  Serial.begin(115200);
  mfi_link_init(&line, writeSerial, 0);
  mfi_inbox_init(&inbox);
  readingAt = millis();
  send(readingAt);
}

void loop() {
  const uint32_t now = millis();
  while (Serial.available() > 0) {
    if (!mfi_inbox_put(&inbox, Serial.read())) continue;
    if (inbox.type == MFI_CLOCK) greeted = true;
    const bool answered = inbox.type == MFI_ACK || inbox.type == MFI_REFUSED;
    if (answered && count > 0 && inbox.number == waiting[oldest].number) forgetOldest();
  }
  if (now - readingAt >= readingEveryMs) {
    readingAt += readingEveryMs;
    takeReading(now);
  }
  if ((!greeted || count > 0) && now - sentAt >= resendAfterMs) send(now);
  sleep_mode();                     // until the next interrupt: a byte, a step, a millisecond
}
