import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Abi, type Address, parseAbi, zeroAddress } from 'viem'
import { deploy, devAccount, startChain } from './startChain.js'

const names = ['IoidRegistryStandIn', 'IoidStandIn'] as const
const mintAbi = parseAbi(['function mint(uint256 projectId, address device, address owner)'])

/** A chain with stand-ins for IoTeX's ioID contracts, and one project's device contract. */
export async function startIoid() {
  const chain = await startChain()
  try {
    const output = execFileSync(
      process.execPath,
      ['scripts/compile.mjs', ...names.map((name) => `test/harness/${name}.sol`)],
      { cwd: fileURLToPath(new URL('..', import.meta.url)), maxBuffer: 2 ** 26 },
    )
    const compiled = JSON.parse(output.toString()) as { name: string; abi: Abi; bytecode: string }[]
    const find = (name: string) => compiled.find((contract) => contract.name === name)!
    const registry = await deploy(chain.client, `0x${find('IoidRegistryStandIn').bytecode}`)
    // Any ERC-721 will do: this one is compiled anyway.
    const deviceContract = await deploy(chain.client, `0x${find('IoidStandIn').bytecode}`)
    let tokenId = 0n

    return {
      ...chain,
      abis: Object.fromEntries(names.map((name) => [name, find(name).abi])) as Record<
        (typeof names)[number],
        Abi
      >,
      deviceContract,
      /** A new token of the device contract, the first account's by default. */
      async mintToken(owner: Address = devAccount(0).address): Promise<bigint> {
        tokenId++
        const hash = await chain.client.writeContract({
          abi: mintAbi,
          address: deviceContract,
          functionName: 'mint',
          args: [1n, zeroAddress, owner],
        })
        await chain.client.waitForTransactionReceipt({ hash })
        return tokenId
      },
      registry,
    }
  } catch (error) {
    await chain.close()
    throw error
  }
}

export type IoidChain = Awaited<ReturnType<typeof startIoid>>
