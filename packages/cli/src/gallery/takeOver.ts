import { finalizeEpochs, readEpoch, readEpochs, redeem } from '@machinefi/contracts'
import { networkTokenAbi } from '@machinefi/contracts/abis'
import { buildRedemptions, fetchLedger } from '../node/buildRedemptions.js'
import { formatWindow } from '../options/parseWindow.js'
import { dayMs, type Scene, SceneError, times } from './openScene.js'

/**
 * The other operator posts the second day again, on the first. Its node has nothing yet, and gets
 * the batches from the devices, who kept them: so it needs nothing of the operator that fell.
 */
export async function takeOver(scene: Scene, window: number) {
  const { node, url } = await scene.startStandby()
  await scene.deliver(url, scene.batches)
  await scene.setTime((window + 1) * dayMs + (times.grace + times.takeoverDelay) * 1000)
  const [epoch] = await node.settle()
  if (epoch?.window !== window) throw new SceneError('The second day was not posted again.')
  return { epoch, node, url }
}

/** Waits until a window is final, and redeems all of its ledger. Tokens by owner, in order of slots. */
export async function redeemAll(scene: Scene, url: string, window: number) {
  const { client, fleet, network } = scene
  const epoch = await readEpoch(client, { network, window })
  await scene.setTime((epoch!.challengeEndsAt + 1) * 1000)
  await finalizeEpochs(client, { network })
  const ledger = await fetchLedger(url, network.id, window)
  const slots = ledger.entries.map(({ slot }) => slot)
  await redeem(client, { network, redemptions: buildRedemptions(ledger, slots), window })
  return Promise.all(
    fleet.map(async ({ name, owner }) => ({
      name,
      owner,
      tokens: await client.readContract({
        abi: networkTokenAbi,
        address: network.token,
        args: [owner],
        functionName: 'balanceOf',
      }),
    })),
  )
}

/** The epochs of the two days, every attempt. */
export async function readDays({ client, network }: Scene) {
  const epochs = await readEpochs(client, { network })
  return epochs.map(({ attempt, operator, status, window }) => ({
    ...{ attempt, operator, status, window },
    day: formatWindow(window, dayMs),
  }))
}
