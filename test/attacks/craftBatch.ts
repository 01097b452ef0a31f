import { concatBytes, normalizeSignature, publicKeyToAddress, type Signer } from '@machinefi/core'
import { encodeProtected, sigStructure } from '@machinefi/telemetry'

type Width = 0 | 1 | 2 | 4 | 8

/** A CBOR head; `width` bytes of argument, the shortest form by default. */
export function head(
  major: number,
  argument: number,
  width: Width = shortest(argument),
): Uint8Array {
  if (width === 0) return Uint8Array.of((major << 5) | argument)
  const bytes = new Uint8Array(1 + width)
  bytes[0] = (major << 5) | (24 + Math.log2(width))
  for (let i = width, rest = argument; i > 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest
  return bytes
}

export function byteString(content: Uint8Array, width?: Width): Uint8Array {
  return concatBytes(head(2, content.length, width), content)
}

export function uint(value: number, width?: Width): Uint8Array {
  return head(0, value, width)
}

/** A batch of parts that need not make one: each is in place of what belongs there. */
export function craftBatch(parts: craftBatch.Parts): Uint8Array {
  const { cose = [0x84], outer = [0x82], unprotected = [0xa0] } = parts
  return concatBytes(
    Uint8Array.from(outer),
    Uint8Array.from(cose),
    parts.protectedItem ?? byteString(parts.protected),
    Uint8Array.from(unprotected),
    parts.payloadItem ?? byteString(parts.payload),
    parts.signatureItem ?? byteString(parts.signature),
    parts.recordsItem ?? (parts.records ? byteString(parts.records) : Uint8Array.of(0xf6)),
  )
}

export declare namespace craftBatch {
  type Parts = {
    protected: Uint8Array
    payload: Uint8Array
    signature: Uint8Array
    records: Uint8Array | null
    outer?: readonly number[]
    cose?: readonly number[]
    unprotected?: readonly number[]
    protectedItem?: Uint8Array
    payloadItem?: Uint8Array
    signatureItem?: Uint8Array
    recordsItem?: Uint8Array
  }
}

/** A device's signature over whatever it is given: a genuine key that signs nonsense. */
export async function signParts(options: signParts.Options): Promise<craftBatch.Parts> {
  const { network, payload, records, signer } = options
  const protectedHeader =
    options.protected ?? encodeProtected(signer.algorithm, publicKeyToAddress(signer.publicKey))
  const message = sigStructure({ payload, protected: protectedHeader }, network)
  const signature = normalizeSignature(await signer.sign(message), signer.algorithm)
  return { payload, protected: protectedHeader, records, signature }
}

export declare namespace signParts {
  type Options = {
    network: Uint8Array
    payload: Uint8Array
    protected?: Uint8Array
    records: Uint8Array | null
    signer: Signer
  }
}

/** The other signature that verifies where this one does: (r, n − s). */
export function flipSignature(signature: Uint8Array, algorithm: Signer['algorithm']): Uint8Array {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  const other = (orders[algorithm] - s).toString(16).padStart(64, '0')
  return concatBytes(signature.subarray(0, 32), Buffer.from(other, 'hex'))
}

const orders = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES256K: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
}

function shortest(argument: number): Width {
  if (argument < 24) return 0
  if (argument < 2 ** 8) return 1
  if (argument < 2 ** 16) return 2
  return argument < 2 ** 32 ? 4 : 8
}
