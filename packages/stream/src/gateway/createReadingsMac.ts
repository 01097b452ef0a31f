import { createHmac } from 'node:crypto'
import { toHex } from '@machinefi/core'

/**
 * The code that authenticates a message of a device to its gateway: HMAC-SHA-256
 * (RFC 2104) under the key that both share, over the network, the line of the
 * request up to the counter, and the body as it is sent. The same over every
 * transport: see docs/protocol/gateway.md.
 *
 * @returns 32 bytes.
 * @example
 * const mac = createReadingsMac({ body, counter: Date.now(), device, key, network })
 */
export function createReadingsMac(options: createReadingsMac.Options): Uint8Array {
  const { body, counter, device, key, network } = options
  const line = `POST /devices/${toHex(device)}/readings?counter=${counter}`
  return createHmac('sha256', key)
    .update(`${toHex(network)}\n${line}\n`)
    .update(body)
    .digest()
}

export declare namespace createReadingsMac {
  type Options = {
    /** SenML, as it is sent. */
    body: Uint8Array
    /** 0 … 2^53 − 1, above every one that the device has used. */
    counter: number
    /** Address, 20 bytes. */
    device: Uint8Array
    /** The shared key, 32 bytes. */
    key: Uint8Array
    /** Network id, 32 bytes. */
    network: Uint8Array
  }
}
