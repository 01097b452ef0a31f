import { readChallenges, readCredit, withdrawCredit } from '@machinefi/contracts'
import { fromHex, toHex } from '@machinefi/core'
import { type Auditor, createAuditor } from '@machinefi/stream/audit'
import { formatEther, type Hex } from 'viem'
import type { ChainClient } from '../chain/createChainClient.js'
import { explainRefusal } from '../disputes/explainRefusal.js'
import { formatWindow } from '../options/parseWindow.js'
import { type CheatReport, describePoint } from './CheatReport.js'
import type { Cheat } from './cheats.js'
import { describeStory } from './describeStory.js'
import { rewriteLog } from './LogBook.js'
import type { Hand } from './lies.js'
import { type Liar, openLiar } from './openLiar.js'
import { dayMs, type Scene, SceneError } from './openScene.js'
import { playDays } from './playDays.js'
import { readBond, readGas, readMoney } from './readMoney.js'
import { readTruth } from './readTruth.js'
import { readVerdict } from './readVerdict.js'
import { toLedger } from './Story.js'
import { readDays, redeemAll, takeOver } from './takeOver.js'

/**
 * The named operator lies about the second day. An auditor has followed it from the start, does what
 * an auditor does, and nobody helps it. Then the other operator takes over, and the owners are paid
 * what they have earned.
 */
export async function playLie(
  scene: Scene,
  { cheat, onStep }: playLie.Options,
): Promise<playLie.ReturnType> {
  const { client, fleet, network } = scene
  const window = network.firstWindow + 1
  const rules = scene.rulesOf(window)
  const nameOf = (slot: number) => fleet[slot]?.name ?? `slot ${slot}`
  const operator = scene.operator.account.address
  const honest = scene.standby.account.address
  const challenger = scene.connect(3)

  const liar = await openLiar({ devnet: scene, rules })
  scene.closers.push(() => liar.close())
  const auditor = await openAuditor(scene, challenger, liar.url)
  await playDays(scene, {
    url: liar.url,
    crowd: cheat.crowd,
    onHour: async () => void (await auditor.sync()),
    async onDay({ ledgerTotal }) {
      const { findings, ok } = await auditor.check(window - 1)
      if (!ok) throw new SceneError(`An honest day is disputed: ${findings[0]?.text}`)
      onStep('first day', `posted as it was, ${format(ledgerTotal)} earned; the auditor agrees`)
      if (cheat.hides === 'epoch') liar.hide('epoch')
      if (cheat.hides === 'day') liar.hide('everything')
    },
  })

  const before = {
    block: await client.getBlockNumber(),
    challenger: await readMoney(scene, challenger.account.address),
    honest: await readBond(scene, honest),
    credit: await readCredit(client, { account: operator, network }),
    operator: await readBond(scene, operator),
  }
  const members = await scene.members()
  const truth = await readTruth({ members, network: network.id, node: scene.url, rules, window })
  const story = await cheat.lie(truth, createHand(scene, window))
  await liar.post(story)
  if (cheat.hides === 'posting') liar.hide('everything')
  for (const line of describeStory(story, truth, nameOf)) onStep('operator', line)

  await auditor.sync()
  const { findings } = await auditor.check(window)
  const texts = [...new Set(findings.map(({ text }) => text))]
  for (const text of texts.slice(0, mostTexts)) onStep('auditor', text)
  if (texts.length > mostTexts) onStep('auditor', `… and ${texts.length - mostTexts} more`)
  const answers = await dispute(scene, { auditor, cheat, liar, nameOf, onStep, window })
  if ((await readCredit(client, { account: challenger.account.address, network })) > 0n)
    await withdrawCredit(challenger, { network })

  const verdict = await readVerdict(scene, before.block)
  if (verdict.caughtBy === null || !verdict.slashed.includes(operator.toLowerCase()))
    throw new SceneError(`The operator got away with it: ${cheat.title}.`)
  const { burned, paid } = verdict
  onStep(
    'slash',
    `the operator loses ${formatEther(before.operator)}: ${formatEther(paid.slash)} to the auditor, ${formatEther(burned.slash)} burned; what it posted for ${formatWindow(window, dayMs)} is void`,
  )
  if (paid.bonds > 0n)
    onStep(
      'stakes',
      `of the challenges that were answered: ${formatEther(paid.bonds)} to the operator, ${formatEther(burned.bonds)} burned`,
    )

  const second = await takeOver(scene, window)
  if (second.epoch.ledgerRoot !== toHex(toLedger(truth).root))
    throw new SceneError('The other operator posts another ledger than follows from the batches.')
  const control = await openAuditor(scene, scene.connect(4), second.url)
  await control.sync()
  if (!(await control.check(window)).ok) throw new SceneError('The second posting is disputed.')
  onStep(
    'takeover',
    `the other operator posts the day again, on the first: ${format(second.epoch.ledgerTotal)} earned; another auditor agrees`,
  )
  const redeemed = await redeemAll(scene, second.url, window)
  onStep('redeem', redeemed.map(({ name, tokens }) => `${name} ${format(tokens)}`).join(', '))

  const gas = await readGas(scene, challenger.account.address, before.block)
  return {
    burned: burned.bonds + burned.slash,
    caughtBy: verdict.caughtBy,
    challenger: {
      after: (await readMoney(scene, challenger.account.address)) + gas,
      before: before.challenger,
    },
    challenges: verdict.challenges.map(({ bond, id, point, status }) => ({
      answer: answers.get(id) ?? null,
      kind: point.kind,
      stake: bond,
      status,
      text: describePoint(point, nameOf),
    })),
    epochs: await readDays(scene),
    findings: findings.map(({ text, why }) => ({ text, why })),
    gas: { challenger: gas },
    honestBond: { after: await readBond(scene, honest), before: before.honest },
    operatorBond: { after: await readBond(scene, operator), before: before.operator },
    operatorCredit: {
      after: await readCredit(client, { account: operator, network }),
      before: before.credit,
    },
    redeemed,
    slashed: true,
  }
}

export declare namespace playLie {
  type Options = { cheat: Cheat; onStep: (topic: string, text: string) => void }
  type ReturnType = Omit<CheatReport, 'elapsedMs' | 'kind' | 'title' | 'variant'>
}

/** The auditor challenges, the operator answers what it can, time passes. Resolves to what became of the answers. */
async function dispute(
  scene: Scene,
  options: playLie.Options & {
    auditor: Auditor
    liar: Liar
    nameOf: (slot: number) => string
    window: number
  },
): Promise<Map<Hex, string>> {
  const { auditor, cheat, liar, nameOf, onStep, window } = options
  const { client, network } = scene
  const answers = new Map<Hex, string>()
  const answer = async () => {
    for (const { id, point, refusal } of await liar.answer()) {
      answers.set(id, refusal ?? 'accepted')
      const what = describePoint(point, nameOf)
      const verdict = refusal === null ? 'the contract accepts it' : explainRefusal(refusal)
      onStep('answer', `${what}: ${verdict}`)
    }
  }
  const known = new Set<Hex>()
  // An answered reveal shows where to look next, so there can be several rounds.
  for (;;) {
    await auditor.act()
    const challenges = await readChallenges(client, { network, window })
    const fresh = challenges.filter(({ id }) => !known.has(id))
    for (const { bond, id, point } of fresh) {
      known.add(id)
      onStep('challenge', `${describePoint(point, nameOf)}, with ${formatEther(bond)} at stake`)
    }
    if (cheat.answers === undefined) await answer()
    const open = challenges.filter(
      ({ id, status }) => status === 'open' && answers.get(id) !== 'accepted',
    )
    if (open.length > 0) {
      const deadline = Math.max(...open.map(({ deadline }) => deadline))
      await scene.setTime((deadline + 1) * 1000)
      onStep(
        'deadline',
        `${open.length === 1 ? 'one challenge is' : `${open.length} challenges are`} not answered in time`,
      )
      if (cheat.answers === 'late') await answer()
      await auditor.act()
      return answers
    }
    if (fresh.length === 0) return answers
    await auditor.sync()
    await auditor.check(window)
  }
}

export async function openAuditor(
  scene: Scene,
  client: ChainClient,
  nodeUrl: string,
): Promise<Auditor> {
  const { clock, deployment, fromBlock, network } = scene
  const auditor = await createAuditor({
    ...{ client, clock, deployment, fromBlock, network, nodeUrl },
    dataDir: scene.createFolder('auditor'),
    patienceMs: 0,
  })
  scene.closers.push(() => auditor.close())
  return auditor
}

export function createHand(scene: Scene, window: number): Hand {
  const network = fromHex(scene.network.id)
  return {
    ...scene.rulesOf(window),
    fleet: scene.fleet,
    network,
    rewrite: (book, entries) =>
      rewriteLog(book, entries, {
        network,
        operator: fromHex(scene.operator.account.address),
        shard: 0,
        signer: scene.logSigner,
        time: Math.floor(scene.clock() / 1000) * 1000,
      }),
  }
}

/** Findings that a person is told. */
const mostTexts = 3

const format = (value: bigint) => value.toLocaleString('en-US')
