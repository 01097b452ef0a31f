import { type Address, createTestClient, type Hex, http, publicActions, walletActions } from 'viem'
import { type HDAccount, mnemonicToAccount } from 'viem/accounts'
import { anvil } from 'viem/chains'
import { startAnvil } from '../../cli/src/chain/startAnvil.js'

const mnemonic = 'test test test test test test test test test test test junk'

/** The `index`th of anvil's ten funded accounts. */
export function devAccount(index: number): HDAccount {
  return mnemonicToAccount(mnemonic, { addressIndex: index })
}

/** A chain of its own, with a client that has viem's public, wallet and test actions. */
export async function startChain(options: startAnvil.Options = {}) {
  const chain = await startAnvil(options)
  const client = createClient(chain.url)
  return { ...chain, client, createClient: (account?: number) => createClient(chain.url, account) }
}

export type Chain = Awaited<ReturnType<typeof startChain>>

function createClient(url: string, account = 0) {
  return createTestClient({
    account: devAccount(account),
    chain: anvil,
    mode: 'anvil',
    pollingInterval: 20,
    transport: http(url, { retryCount: 0 }),
  })
    .extend(publicActions)
    .extend(walletActions)
}

/** Deploys `bytecode` and returns its address. */
export async function deploy(
  client: ReturnType<typeof createClient>,
  bytecode: Hex,
): Promise<Address> {
  const hash = await client.sendTransaction({ data: bytecode })
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  if (!contractAddress) throw new Error('not deployed')
  return contractAddress
}
