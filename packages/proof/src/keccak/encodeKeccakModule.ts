/**
 * Encodes a WebAssembly module with one function, `permute`: Keccak-f[1600]
 * (FIPS 202 §3.2) over the 200 bytes at address 0 of its exported `memory`;
 * the round constants are expected behind them, at address 200.
 *
 * JavaScript has no 64-bit integers that are fast: the same permutation costs
 * it ten times as much. Emitting the module takes less code than carrying a
 * binary, and leaves nothing that cannot be read.
 */
export function encodeKeccakModule(): Uint8Array<ArrayBuffer> {
  const lane = (x: number, y: number) => (x % 5) + 5 * (y % 5)
  // Locals: 25 lanes, 25 lanes after rho and pi, 5 parities, 5 parities mixed, the address.
  const [A, B, C, D, address] = [0, 25, 50, 55, 60]
  const range = (n: number) => Array.from({ length: n }, (_, i) => i)
  const get = (local: number) => [0x20, local]
  const set = (local: number) => [0x21, local]
  const xor = 0x85
  const rotl = (by: number) => (by === 0 ? [] : [0x42, ...leb(by), 0x89])

  const offsets = rotations()
  const code = [
    // Two groups of locals: 60 i64, one i32.
    ...[2, 60, 0x7e, 1, 0x7f],
    ...range(25).flatMap((i) => [...i32Const(0), 0x29, 3, ...leb(8 * i, true), ...set(A + i)]),
    ...[...i32Const(200), ...set(address)],
    ...[0x03, 0x40],
    // theta
    ...range(5).flatMap((x) => [
      ...get(A + x),
      ...[5, 10, 15, 20].flatMap((row) => [...get(A + x + row), xor]),
      ...set(C + x),
    ]),
    ...range(5).flatMap((x) => [
      ...get(C + ((x + 4) % 5)),
      ...get(C + ((x + 1) % 5)),
      ...rotl(1),
      xor,
      ...set(D + x),
    ]),
    // rho and pi
    ...range(25).flatMap((i) => {
      const x = i % 5
      const y = (i - x) / 5
      return [
        ...[...get(A + i), ...get(D + x), xor],
        ...rotl(offsets[i] as number),
        ...set(B + lane(y, 2 * x + 3 * y)),
      ]
    }),
    // chi: a ^ (~b & c)
    ...range(25).flatMap((i) => {
      const x = i % 5
      const y = (i - x) / 5
      return [
        ...get(B + i),
        ...[...get(B + lane(x + 1, y)), 0x42, 0x7f, xor, ...get(B + lane(x + 2, y)), 0x83],
        xor,
        ...set(A + i),
      ]
    }),
    // iota
    ...[...get(A), ...get(address), 0x29, 3, 0, xor, ...set(A)],
    ...[...get(address), ...i32Const(8), 0x6a, 0x22, address],
    ...[...i32Const(200 + 24 * 8), 0x49, 0x0d, 0, 0x0b],
    ...range(25).flatMap((i) => [...i32Const(0), ...get(A + i), 0x37, 3, ...leb(8 * i, true)]),
    0x0b,
  ]
  const name = (text: string) => [text.length, ...[...text].map((c) => c.charCodeAt(0))]
  const section = (id: number, content: number[]) => [id, ...leb(content.length, true), ...content]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('permute'), 0, 0]),
    ...section(10, [1, ...leb(code.length, true), ...code]),
  ])
}

/** The 24 round constants (FIPS 202 §3.2.5), little-endian. */
export function encodeRoundConstants(): Uint8Array {
  const bytes = new Uint8Array(24 * 8)
  const view = new DataView(bytes.buffer)
  let register = 1
  for (let round = 0; round < 24; round++) {
    let constant = 0n
    for (let j = 0; j < 7; j++) {
      if (register & 1) constant |= 1n << BigInt(2 ** j - 1)
      register <<= 1
      if (register & 0x100) register ^= 0x171
    }
    view.setBigUint64(8 * round, constant, true)
  }
  return bytes
}

/** How far rho turns each lane (FIPS 202 §3.2.2). */
function rotations(): number[] {
  const offsets = new Array<number>(25).fill(0)
  let x = 1
  let y = 0
  for (let t = 0; t < 24; t++) {
    offsets[x + 5 * y] = (((t + 1) * (t + 2)) / 2) % 64
    const next = (2 * x + 3 * y) % 5
    x = y
    y = next
  }
  return offsets
}

const i32Const = (value: number) => [0x41, ...leb(value)]

/** LEB128; signed unless said otherwise. */
function leb(value: number, unsigned = false): number[] {
  const bytes: number[] = []
  let rest = value
  for (;;) {
    const low = rest & 0x7f
    rest >>= 7
    const done = unsigned ? rest === 0 : rest === 0 && (low & 0x40) === 0
    bytes.push(done ? low : low | 0x80)
    if (done) return bytes
  }
}
