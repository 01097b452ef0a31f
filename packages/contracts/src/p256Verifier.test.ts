import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Address, type Hex, hexToBigInt, numberToHex, sha256, size, slice } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Chain, deploy, startChain } from '../test/startChain.js'
import { deployedP256VerifierAbi as abi } from './abis/index.js'
import { deployedP256VerifierBytecode as bytecode } from './bytecode/index.js'

const vectors = new URL('../../../../shared/vectors/', import.meta.url)
const wycheproof = new URL('wycheproof/ecdsa_secp256r1_sha256_p1363_test.json', vectors)
const iotex = new URL('iotex/p256-precompile-0x8001.json', vectors)
const iotexPrecompile = '0x0000000000000000000000000000000000008001'
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

type Case = { digest: Hex; r: Hex; s: Hex; x: Hex; y: Hex }

/** Wycheproof, tcId 120. */
const valid: Case = {
  digest: sha256('0x313233343030'),
  r: numberToHex(5n, { size: 32 }),
  s: numberToHex(1n, { size: 32 }),
  x: '0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957',
  y: '0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b',
}
/** A genuine signature of another digest. */
const invalid: Case = { ...valid, digest: sha256('0x00') }

describe.each(['osaka', 'prague'])('P256Verifier on %s', (hardfork) => {
  let chain: Chain
  let verifier: Address
  beforeAll(async () => {
    chain = await startChain({ hardfork })
    verifier = await deploy(chain.client, bytecode)
  })
  afterAll(() => chain?.close())

  function verify({ digest, r, s, x, y }: Case, gas?: bigint) {
    const args = [digest, r, s, x, y] as const
    return chain.client.readContract({
      abi,
      address: verifier,
      functionName: 'verify',
      args,
      ...(gas && { gas }),
    })
  }

  test('default', async () => {
    expect(await verify(valid)).toBe(true)
    expect(await verify(invalid)).toBe(false)
  })

  test('behavior: both forms of s', async () => {
    const s = numberToHex(order - hexToBigInt(valid.s), { size: 32 })
    expect(await verify({ ...valid, s })).toBe(true)
    expect(await verify({ ...invalid, s })).toBe(false)
  })

  test('behavior: malformed is false', async () => {
    const zero = numberToHex(0n, { size: 32 })
    const n = numberToHex(order, { size: 32 })
    for (const part of ['r', 's', 'x', 'y'] as const) {
      expect(await verify({ ...valid, [part]: zero })).toBe(false)
      expect(await verify({ ...valid, [part]: n })).toBe(false)
    }
  })

  test('behavior: too little gas is never a verdict', async () => {
    const verdicts = new Set<string>()
    for (let gas = 25_000n; gas < 360_000n; gas += 2_713n) {
      const verdict = await verify(valid, gas).catch(() => 'reverted')
      expect(verdict).not.toBe(false)
      verdicts.add(String(verdict))
    }
    expect([...verdicts]).toEqual(['reverted', 'true'])
  })

  test.skipIf(!existsSync(wycheproof))('behavior: Wycheproof', async () => {
    const { testGroups, numberOfTests } = JSON.parse(readFileSync(wycheproof, 'utf8'))
    let checked = 0
    for (const { publicKey, tests } of testGroups) {
      const key: Hex = `0x${publicKey.uncompressed}`
      for (const { msg, sig, result, tcId } of tests) {
        checked++
        const signature: Hex = `0x${sig}`
        // The contract takes two words: what is not 64 bytes cannot be said to it.
        if (size(signature) !== 64) {
          expect(result, `tcId ${tcId}`).toBe('invalid')
          continue
        }
        const verdict = await verify({
          digest: sha256(`0x${msg}`),
          r: slice(signature, 0, 32),
          s: slice(signature, 32),
          x: slice(key, 1, 33),
          y: slice(key, 33),
        })
        expect(verdict, `tcId ${tcId}`).toBe(result === 'valid')
      }
    }
    expect(checked).toBe(numberOfTests)
  })
})

describe.skipIf(!existsSync(iotex))('P256Verifier with 0x8001', () => {
  let chain: Chain
  let verifier: Address
  const cases: { valid_input: string; invalid: { input: string }[] } = existsSync(iotex)
    ? JSON.parse(readFileSync(iotex, 'utf8'))
    : undefined!
  beforeAll(async () => {
    chain = await startChain({ hardfork: 'prague' })
    verifier = await deploy(chain.client, bytecode)
  })
  afterAll(() => chain?.close())

  async function verify({ digest, r, s, x, y }: Case) {
    const request = { abi, address: verifier, args: [digest, r, s, x, y] } as const
    const verdict = await chain.client.readContract({ ...request, functionName: 'verify' })
    const gas = await chain.client.estimateContractGas({ ...request, functionName: 'verify' })
    return { verdict, gas }
  }

  function toCase(input: string): Case {
    const bytes: Hex = `0x${input}`
    return {
      digest: slice(bytes, 0, 32),
      r: slice(bytes, 32, 64),
      s: slice(bytes, 64, 96),
      x: slice(bytes, 97, 129),
      y: slice(bytes, 129, 161),
    }
  }

  test('default', async () => {
    await chain.client.setCode({ address: iotexPrecompile, bytecode: await standIn() })
    expect(await verify(toCase(cases.valid_input))).toMatchObject({ verdict: true })
    expect(cases.invalid).toHaveLength(3)
    for (const { input } of cases.invalid) {
      expect(await verify(toCase(input))).toMatchObject({ verdict: false })
    }
    const { r, s, ...rest } = toCase(cases.valid_input)
    const other = numberToHex(order - hexToBigInt(s), { size: 32 })
    expect(await verify({ ...rest, r, s: other })).toMatchObject({ verdict: true })
    expect(await verify(valid)).toMatchObject({ verdict: true })
  })

  // What each of these says about a valid and an invalid signature must come from Solidity.
  test.each<[string, Hex]>([
    ['always answers 00', '0x60006000536001601ff3'],
    ['answers nothing', '0x00'],
    ['reverts', '0x5f5ffd'],
    ['answers a whole word', '0x600160005260206000f3'],
    ['answers 02', '0x600260005360016000f3'],
    ['burns its gas', '0xfe'],
  ])('behavior: a stranger at 0x8001 that %s', async (_, code) => {
    await chain.client.setCode({ address: iotexPrecompile, bytecode: code })
    expect(await verify(valid)).toMatchObject({ verdict: true })
    expect(await verify(invalid)).toMatchObject({ verdict: false })
  })

  test('behavior: its yes is taken, at once', async () => {
    const yes = '0x600160005360016000f3'
    await chain.client.setCode({ address: iotexPrecompile, bytecode: yes })
    const { gas, verdict } = await verify(invalid)
    expect(verdict).toBe(true)
    expect(gas).toBeLessThan(60_000n)
  })

  async function standIn(): Promise<Hex> {
    const source = 'solidity/crypto/test/IotexP256Precompile.sol'
    const cwd = fileURLToPath(new URL('..', import.meta.url))
    const output = execFileSync(process.execPath, ['scripts/compile.mjs', source], { cwd })
    const address = await deploy(chain.client, `0x${JSON.parse(output.toString())[0].bytecode}`)
    return (await chain.client.getCode({ address }))!
  }
})
