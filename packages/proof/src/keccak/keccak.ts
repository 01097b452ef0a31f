import { keccak256 } from '@machinefi/core'
import { encodeKeccakModule, encodeRoundConstants } from './encodeKeccakModule.js'

/** Bytes that keccak-256 absorbs at a time. */
const rate = 136

/**
 * Keccak-256 for hashing many short messages: in WebAssembly, ten times as
 * fast as in JavaScript, and without an allocation. Where WebAssembly is
 * missing or forbidden (a page's content security policy) it is core's.
 */
export const keccak: Keccak = /* @__PURE__ */ createKeccak()

export type Keccak = {
  /** Where to write a message of at most 135 bytes. Its content does not survive hashing. */
  readonly input: Uint8Array
  /** The same bytes, to write numbers. */
  readonly view: DataView
  /** Hashes the first `length` ≤ 135 bytes of `input` into `out` at an offset. */
  hashInput(length: number, out: Uint8Array, offset: number): void
  /** Hashes a message of any length. */
  hash(message: Uint8Array): Uint8Array
}

function createKeccak(): Keccak {
  try {
    return createWasmKeccak()
  } catch {
    return createPlainKeccak()
  }
}

export function createPlainKeccak(): Keccak {
  const input = new Uint8Array(rate)
  return {
    input,
    view: new DataView(input.buffer),
    hashInput(length, out, offset) {
      out.set(keccak256(input.subarray(0, length)), offset)
    },
    hash: keccak256,
  }
}

/** @throws where WebAssembly is missing or forbidden. */
export function createWasmKeccak(): Keccak {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(encodeKeccakModule()))
  const { memory, permute } = instance.exports as {
    memory: WebAssembly.Memory
    permute: () => void
  }
  const state = new Uint8Array(memory.buffer, 0, 200)
  new Uint8Array(memory.buffer, 200, 24 * 8).set(encodeRoundConstants())

  function hashInput(length: number, out: Uint8Array, offset: number) {
    state.fill(0, length)
    state[length] = 1
    // 135 bytes: both bits of the padding fall into one byte.
    state[rate - 1] = (state[rate - 1] as number) | 0x80
    permute()
    for (let i = 0; i < 32; i++) out[offset + i] = state[i] as number
  }

  return {
    input: state.subarray(0, rate),
    view: new DataView(memory.buffer, 0, rate),
    hashInput,
    hash(message) {
      const out = new Uint8Array(32)
      const tail = message.length % rate
      state.fill(0)
      for (let offset = 0; offset < message.length; offset += rate) {
        const length = Math.min(rate, message.length - offset)
        for (let i = 0; i < length; i++)
          state[i] = (state[i] as number) ^ (message[offset + i] as number)
        if (length === rate) permute()
      }
      state[tail] = (state[tail] as number) ^ 1
      state[rate - 1] = (state[rate - 1] as number) ^ 0x80
      permute()
      for (let i = 0; i < 32; i++) out[i] = state[i] as number
      return out
    },
  }
}
