export {
  decodePebble,
  maxPebbleBytes,
  type PebblePacket,
  type PebbleProfile,
  pebbleProfiles,
} from './pebble/decodePebble.js'
export { PebbleError, type PebbleReason } from './pebble/errors.js'
export { type PebbleRecord, pebbleFields, toPebbleRecord } from './pebble/toPebbleRecord.js'
export { type PebbleVerdict, verifyPebble } from './pebble/verifyPebble.js'
