export { createDevice, type Device } from './device/createDevice.js'
export {
  ClockError,
  DeviceClosedError,
  FlushTimeoutError,
  InvalidDeviceError,
  RowTooLargeError,
  SequenceUnknownError,
  TickTakenError,
} from './device/errors.js'
export type { Delivered } from './outbox/createOutbox.js'
export {
  createSoftwareSigner,
  InvalidPrivateKeyError,
  type SoftwareSigner,
  UnknownAlgorithmError,
} from './signers/createSoftwareSigner.js'
export { createMemoryStore } from './stores/createMemoryStore.js'
export {
  type DroppedBatch,
  DroppedError,
  type RefusedBatch,
  type Store,
  StoreFullError,
} from './stores/store.js'
export { ReceiptError, RefusedError, TransportError } from './transports/errors.js'
export { http } from './transports/http.js'
export { type NodeNetwork, readNodeNetwork } from './transports/readNodeNetwork.js'
export type { Problem, QueuedBatch, Transport } from './transports/transport.js'
