export {
  BoardVersionError,
  type Bridge,
  createBridge,
  FrameRefusedError,
} from './serial/createBridge.js'
export {
  decodeFrame,
  encodeFrame,
  type Frame,
  frameTypes,
  InvalidFrameError,
} from './serial/encodeFrame.js'
export { type Line, LineError } from './serial/line.js'
export {
  BoardSilentError,
  NotARegistrationError,
  openBoardSigner,
} from './serial/openBoardSigner.js'
export { openSerialPort, SerialPortMissingError } from './serial/openSerialPort.js'
