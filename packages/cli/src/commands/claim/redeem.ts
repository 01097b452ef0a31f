import { readFinalWindow, redeem } from '@machinefi/contracts'
import { BaseError, formatAddress, formatDid, parseDid } from '@machinefi/core'
import { openChain } from '../../chain/createChainClient.js'
import type { Context } from '../../context.js'
import { buildRedemptions, fetchLedger, fetchRedemption } from '../../node/buildRedemptions.js'
import { fetchNetwork } from '../../node/fetchNode.js'
import { openReadableNode } from '../../node/openReadableNode.js'
import { toNetwork } from '../../node/toNetwork.js'
import { formatWindow } from '../../options/parseWindow.js'
import { formatJson } from '../../output/formatJson.js'
import { formatTable } from '../../output/formatTable.js'

type Options = { account?: string; json?: boolean; network?: string; node: string; rpc: string }

/** `machinefi claim redeem`: mints all that final windows earned, to the devices' owners. */
export async function redeemClaims(
  devices: readonly string[],
  options: Options,
  context: Context,
): Promise<void> {
  const addresses = devices.map((device) => formatAddress(parseDid(device)))
  const description = await fetchNetwork(options.node, options.network)
  const network = toNetwork(description)
  const client = await openChain(options, context)
  const window = await readFinalWindow(client, { network })
  if (window === null) throw new NothingToRedeemError('No window is final yet.')
  const node = await openReadableNode(options, network, context)
  const redemptions = network.isPrivate
    ? await Promise.all(
        addresses.map((address) => fetchRedemption(node, network.id, window, address)),
      )
    : await fetchRedemptions()

  async function fetchRedemptions() {
    const ledger = await fetchLedger(node, network.id, window as number)
    const slots = addresses.map((address) => {
      const entry = ledger.entries.find((entry) => entry.device === address)
      if (entry) return entry.slot
      throw new NothingToRedeemError(
        `${formatDid(parseDid(address))} has no entry in ${ledger.name}.`,
      )
    })
    return buildRedemptions(ledger, slots)
  }
  const result = await redeem(client, { network, redemptions, window })
  const facts = {
    window: formatWindow(window, description.windowMs),
    amount: result.amount,
    redeemed: result.redeemed.map(({ amount, device, owner }) => ({ amount, device, owner })),
    transaction: result.hash,
    gasUsed: result.receipt.gasUsed,
  }
  if (options.json) return context.stdout.write(`${formatJson(facts)}\n`)
  context.stdout.write(
    facts.redeemed.length === 0
      ? `Nothing new up to ${facts.window}: all that was earned is paid.\n`
      : `${formatTable(
          ['device', 'owner', 'minted'],
          facts.redeemed.map(({ amount, device, owner }) => [device, owner, `${amount}`]),
          { right: [2] },
        )}\n`,
  )
}

export class NothingToRedeemError extends BaseError {
  override readonly name = 'NothingToRedeemError'
  constructor(shortMessage: string) {
    super(shortMessage, {
      kind: 'contract',
      metaMessages: ['A window is final when its challenge window is over.'],
    })
  }
}
