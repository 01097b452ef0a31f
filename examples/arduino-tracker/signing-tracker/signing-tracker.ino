// A step counter on an Arduino Mega that signs: its key is in a secure element, and never leaves it.
// It sends complete batches over USB; `machinefi bridge` passes them on and tells it when the node's
// receipt is verified.
//
// Copy machinefi.h beside this file, or build it as build.mjs does.

#include <Arduino.h>
#include <EEPROM.h>
#include <avr/sleep.h>
#define MFI_ROWS_BYTES 1024
#define MFI_INBOX_BYTES 69
#include "machinefi.h"
#include "atecc.h"

const uint8_t sensorPin = 2;        // a falling edge is a step
const uint32_t readingEveryMs = 1000;
const uint32_t resendAfterMs = 5000;
const uint8_t rowsPerBatch = 10;
const uint64_t windowMs = 86400000; // of the network: no batch crosses its end
const uint32_t seqsAtOnce = 256;    // an EEPROM cell wears out after 100,000 writes

// What the EEPROM holds from its first byte on; the first two are put there once.
struct Provisioned {
  uint8_t network[32];
  uint8_t address[20];
  uint32_t freeSeq;                 // no seq from here on was ever used
};

static Provisioned own;
static mfi_device device;
static mfi_batch batches[2];
static mfi_batch *filling = batches, *sealed = batches + 1;
static bool underWay;               // `sealed` has no answer yet
static bool full;                   // `filling` is to be sealed next
static uint32_t nextSeq;
static uint16_t nextNumber = 1;     // 0 is the hello's
static uint16_t number;             // of `sealed`
static bool clockKnown;
static uint64_t bootTime;           // Unix time when millis() was 0
static uint32_t sentAt, readingAt;
static volatile uint16_t steps;
static mfi_link line;
static mfi_inbox inbox;

static void countStep() { steps++; }

static void writeSerial(void *, const uint8_t *bytes, uint16_t length) {
  Serial.write(bytes, length);
}

// A seq is in memory that lasts before it is used. What is left of a reservation when the power
// fails is a gap, which everyone sees.
static uint32_t takeSeq() {
  if (nextSeq == own.freeSeq) {
    own.freeSeq += seqsAtOnce;
    EEPROM.put(offsetof(Provisioned, freeSeq), own.freeSeq);
  }
  return nextSeq++;
}

static void beginBatch() { mfi_begin(filling, &device, takeSeq()); }

static void takeReading(uint32_t now) {
  const uint64_t time = bootTime + now;
  if (filling->count > 0 && time / windowMs != filling->start / windowMs) full = true;
  if (full) return;                 // the steps wait for the next batch
  noInterrupts();
  const uint16_t taken = steps;
  interrupts();
  const int64_t values[1] = {taken};
  const int result = mfi_add(filling, time, values);
  if (result == MFI_OK) {
    noInterrupts();
    steps -= taken;
    interrupts();
  }
  if (result == MFI_FULL || filling->count == rowsPerBatch) full = true;
}

static void seal() {
  if (mfi_seal(filling) != MFI_OK) return;  // again the next time round: it is the same batch
  mfi_batch *other = sealed;
  sealed = filling;
  filling = other;
  number = nextNumber++;
  underWay = true;
  full = false;
  sentAt = millis() - resendAfterMs;
  beginBatch();
}

static void send(uint32_t now) {
  sentAt = now;
  if (!clockKnown)
    mfi_send_hello(&line, 0, MFI_WANTS_ACKS);
  else
    mfi_send_batch(&line, number, sealed);
}

void setup() {
  EEPROM.get(0, own);
  nextSeq = own.freeSeq;
  device.network = own.network;
  device.address = own.address;
  device.schema = 1;
  device.tick_ms = 1000;
  device.fields = 1;
  device.sign = ateccSign;
  pinMode(sensorPin, INPUT_PULLUP);
  attachInterrupt(digitalPinToInterrupt(sensorPin), countStep, FALLING);
  Serial.begin(115200);
  mfi_link_init(&line, writeSerial, 0);
  mfi_inbox_init(&inbox);
  beginBatch();
  readingAt = millis();
  send(readingAt);
}

void loop() {
  const uint32_t now = millis();
  while (Serial.available() > 0) {
    if (!mfi_inbox_put(&inbox, Serial.read())) continue;
    if (inbox.type == MFI_CLOCK && inbox.length == 8) {
      bootTime = mfi_inbox_time(&inbox) - now;
      clockKnown = true;
    }
    // Asked by `machinefi device register --port`: who owns this board.
    if (inbox.type == MFI_REGISTER) mfi_send_registration(&line, &inbox, &device);
    const bool answered = inbox.type == MFI_ACK || inbox.type == MFI_REFUSED;
    if (answered && underWay && inbox.number == number) underWay = false;
  }
  if (now - readingAt >= readingEveryMs) {
    readingAt += readingEveryMs;
    if (clockKnown) takeReading(now);
  }
  if (full && !underWay) seal();
  if ((!clockKnown || underWay) && now - sentAt >= resendAfterMs) send(now);
  sleep_mode();                     // until the next interrupt: a byte, a step, a millisecond
}
