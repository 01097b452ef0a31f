import { BaseError } from '@machinefi/core'
import { type Line, LineError } from './line.js'

/**
 * Opens a serial port with the npm package `serialport`, which whoever uses this installs.
 *
 * Opening it resets most Arduino boards: DTR does it. 8 data bits, no parity, 1 stop bit.
 *
 * @param path `/dev/ttyUSB0`, `/dev/ttyACM0`, `COM3`.
 * @throws {LineError} there is no such port, or something else has it.
 * @throws {SerialPortMissingError} `serialport` is not installed.
 */
export async function openSerialPort(
  path: string,
  options: openSerialPort.Options = {},
): Promise<Line> {
  const { baudRate = 115_200 } = options
  const { SerialPort } = await import('serialport').catch((cause) => {
    throw new SerialPortMissingError(cause)
  })
  const port = new SerialPort({ autoOpen: false, baudRate, path })
  // A port that is pulled out says so twice: to whoever reads it, and here.
  port.on('error', () => {})
  const call = (method: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      method((error) => (error ? reject(error) : resolve()))
    })
  await call((done) => port.open(done)).catch((cause) => {
    throw new LineError(`${path} cannot be opened.`, { cause })
  })
  return {
    bytes: port,
    write: (bytes) => call((done) => port.write(bytes, done)),
    async close() {
      if (port.isOpen) await call((done) => port.close(done)).catch(() => {})
    },
  }
}

export declare namespace openSerialPort {
  type Options = {
    /** @default 115200 */
    baudRate?: number | undefined
  }
}

export class SerialPortMissingError extends BaseError {
  override readonly name = 'SerialPortMissingError'
  constructor(cause: unknown) {
    super('Serial ports need the npm package serialport.', {
      cause,
      kind: 'input',
      metaMessages: ['Install it with: npm install serialport'],
    })
  }
}
