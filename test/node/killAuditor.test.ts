import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { readChallenges, readEpoch } from '@machinefi/contracts'
import { buildLedger } from '@machinefi/proof'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene } from '../../packages/stream/test/audit/openScene.js'
import { buildProcess } from './buildProcess.js'

const kills = Number(process.env.KILLS ?? 12)
let runner: Awaited<ReturnType<typeof buildProcess>>

beforeAll(async () => {
  runner = await buildProcess('runAuditor.ts')
}, 60_000)

afterAll(() => runner.remove())

test('behavior: an auditor killed at any moment goes on, and stakes nothing twice', {
  timeout: 120_000,
}, async () => {
  await using t = await openScene({ devices: 8 })
  const { anvil, client, deployment, fromBlock, network } = t
  const dataDir = t.createFolder()
  const config = JSON.stringify(
    { deployment, fromBlock, network, nodeUrl: t.doorUrl, rpc: anvil.url },
    (_, item) => (typeof item === 'bigint' ? `${item}` : item),
  )
  const said: string[] = []
  let child: ChildProcess | undefined
  let exited: Promise<void> | undefined
  const start = async () => {
    ;({ child, exited } = await runner.start(dataDir, config))
    child.stdout!.on('data', (text) => said.push(...`${text}`.split('\n').filter(Boolean)))
  }
  const kill = async () => {
    child?.kill('SIGKILL')
    await exited
  }
  const until = async (text: string) => {
    for (let waited = 0; !said.some((line) => line.includes(text)); waited += 20) {
      if (waited > 30_000) throw new Error(`${text} never came: ${said.join('\n')}`)
      await sleep(20)
    }
  }

  try {
    await t.playDay(0)
    await t.endDay(0)
    // Right, but for one entry; nobody shows the ledger.
    const helper = await t.audit({ client: t.connect(4) })
    await helper.sync()
    const truth = await helper.recompute(t.windowOf(0))
    const entries = truth.entries.map((entry, slot) =>
      entry && slot === 5 ? { ...entry, cumulative: entry.cumulative + 7n } : entry,
    )
    const posted = await t.post(truth, { entries })
    for (let round = 0; round < kills; round++) {
      await start()
      await sleep(10 + ((round * 37) % 400))
      await kill()
      if (round % 3 === 2) await t.answer(posted)
    }
    await start()
    for (let round = 0; round < 3; round++) {
      await sleep(500)
      await t.answer(posted)
    }
    await t.setTime(t.now + 3_700_000)
    await until('"withdrawn"')
    await kill()

    expect(await readEpoch(client, { network, window: t.windowOf(0) })).toMatchObject({
      status: 'void',
    })
    // The ledger was revealed from the root down, then the slot was challenged: once each.
    const challenges = await readChallenges(client, { network })
    expect(challenges.map(({ point, status }) => [point.kind, status])).toEqual([
      ['reveal', 'answered'],
      ['carry', 'upheld'],
    ])
    expect(said.filter((line) => line.includes('"failed"'))).toEqual([])
    expect(buildLedger(entries).root).not.toEqual(truth.ledger.root)
  } finally {
    await kill()
  }
})
