import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  type Abi,
  type AbiFunction,
  type Address,
  concatHex,
  decodeAbiParameters,
  encodeAbiParameters,
  type Hex,
  toFunctionSelector,
} from 'viem'
import { deploy, startChain } from '../../packages/contracts/test/startChain.js'

const contracts = fileURLToPath(new URL('../../packages/contracts', import.meta.url))
const folder = 'test/harness'

/** Calls in one eth_call, and their characters: anvil takes bodies of 2 MB. */
const maxCalls = 200
const maxCharacters = 500_000

/**
 * A chain with `Many`, and with `EvidenceHarness` if asked for, compiled as contracts are shipped.
 * None of them is part of a package.
 */
export async function startHarness({ evidence = false }: { evidence?: boolean } = {}) {
  const chain = await startChain({ args: ['--disable-block-gas-limit'] })
  try {
    const names = ['Many', ...(evidence ? ['EvidenceHarness'] : [])]
    const output = execFileSync(
      process.execPath,
      ['scripts/compile.mjs', ...names.map((name) => `${folder}/${name}.sol`)],
      { cwd: contracts, maxBuffer: 2 ** 26 },
    )
    const compiled = JSON.parse(output.toString()) as { name: string; abi: Abi; bytecode: string }[]
    const find = (name: string) => compiled.find((contract) => contract.name === name)!
    const place = (name: string) => deploy(chain.client, `0x${find(name).bytecode}`)
    const many = await place('Many')
    const harness = evidence ? await place('EvidenceHarness') : many
    const functions = new Map(
      (find(names.at(-1)!).abi as AbiFunction[]).map((item) => [item.name, item]),
    )

    /** What each call returns, null where it reverts. */
    async function callMany(target: Address, calls: readonly Hex[]): Promise<(Hex | null)[]> {
      const results: (Hex | null)[] = []
      for (let from = 0, to = 0; from < calls.length; from = to) {
        let characters = 0
        while (to < calls.length && to - from < maxCalls && characters < maxCharacters)
          characters += calls[to++]!.length
        const data = concatHex([
          selector,
          encodeAbiParameters(inputs, [target, calls.slice(from, to)]),
        ])
        const { data: returned } = await chain.client.call({ to: many, data, gas: 10n ** 12n })
        const [chunk] = decodeAbiParameters([{ type: 'bytes[]' }], returned!)
        for (const result of chunk) results.push(result === '0x' ? null : result)
      }
      return results
    }

    return {
      callMany,
      /** Calls one of the harness' functions with many lists of arguments. */
      call(name: string, argumentLists: readonly (readonly unknown[])[]): Promise<(Hex | null)[]> {
        const item = functions.get(name)!
        const head = toFunctionSelector(item)
        return callMany(
          harness,
          argumentLists.map((args) => concatHex([head, encodeAbiParameters(item.inputs, args)])),
        )
      },
      client: chain.client,
      close: () => chain.close(),
      deploy: (bytecode: Hex) => deploy(chain.client, bytecode),
    }
  } catch (error) {
    await chain.close()
    throw error
  }
}

export type Harness = Awaited<ReturnType<typeof startHarness>>

const inputs = [{ type: 'address' }, { type: 'bytes[]' }] as const
const selector = toFunctionSelector('all(address,bytes[])')

/** What a function returns that says yes. */
export const yes: Hex = `0x${'1'.padStart(64, '0')}`
