import { readChallenges } from '@machinefi/contracts'
import { expect, test } from 'vitest'
import { tellTruth } from '../../packages/cli/src/gallery/lies.js'
import { openLiar } from '../../packages/cli/src/gallery/openLiar.js'
import { bond, dayMs, openScene } from '../../packages/cli/src/gallery/openScene.js'
import { playDays } from '../../packages/cli/src/gallery/playDays.js'
import { createHand, openAuditor } from '../../packages/cli/src/gallery/playLie.js'
import { readBond } from '../../packages/cli/src/gallery/readMoney.js'
import { readTruth } from '../../packages/cli/src/gallery/readTruth.js'
import { redeemAll } from '../../packages/cli/src/gallery/takeOver.js'
import { earned } from './expectCaught.js'

// That cheats are caught says something only if the truth, told by the same machinery, is not.
test('behavior: the truth is not disputed', { timeout: 60_000 }, async () => {
  const scene = await openScene({ firstDay: 20_000 * dayMs })
  try {
    const { client, network, operator } = scene
    const window = network.firstWindow + 1
    const rules = scene.rulesOf(window)
    const liar = await openLiar({ devnet: scene, rules })
    scene.closers.push(() => liar.close())
    const auditor = await openAuditor(scene, scene.connect(3), liar.url)
    await playDays(scene, { onHour: async () => void (await auditor.sync()), url: liar.url })
    const members = await scene.members()
    const truth = await readTruth({
      ...{ members, network: network.id, node: scene.url, rules, window },
    })
    await liar.post(await tellTruth(truth, createHand(scene, window)))

    await auditor.sync()
    for (const day of [window - 1, window])
      expect(await auditor.check(day)).toMatchObject({ findings: [], ok: true, window: day })
    await auditor.act()
    expect(await readChallenges(client, { network })).toEqual([])
    expect(await readBond(scene, operator.account.address)).toBe(bond)
    const redeemed = await redeemAll(scene, liar.url, window)
    expect(Object.fromEntries(redeemed.map(({ name, tokens }) => [name, tokens]))).toEqual(earned)
  } finally {
    await scene.close()
  }
})
