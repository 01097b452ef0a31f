import { describe, expect, test } from 'vitest'
import { createTestNetwork, pointsOf, type TestEpoch } from '../../test/createTestNetwork.js'
import { buildAnswer } from './buildAnswer.js'
import type { Point } from './Challenge.js'
import { verifyAnswer } from './verifyAnswer.js'

// With OpenSSL only: thousands of signatures.

const print = (point: Point) =>
  JSON.stringify(point, (_, value) => (value instanceof Uint8Array ? [...value].join() : value))

async function answerAll(epoch: TestEpoch): Promise<Map<string, number>> {
  const kinds = new Map<string, number>()
  for (const point of pointsOf(epoch)) {
    const answer = buildAnswer(point, epoch.source)
    const verdict = await verifyAnswer(point, answer, epoch.context)
    if (!verdict.ok) throw new Error(`${verdict.reason}: ${print(point)}`)
    const kind =
      answer.kind === 'step'
        ? answer.step === null
          ? 'entry'
          : answer.step.before === null
            ? 'first step'
            : 'step'
        : answer.kind === 'omission' && answer.earlier !== null
          ? 'omission of a later one'
          : answer.kind
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return kinds
}

describe('buildAnswer', () => {
  test('behavior: an honest epoch answers every challenge that can be opened', async () => {
    const total = new Map<string, number>()
    for (let seed = 1; seed <= 120; seed++)
      for (const epoch of await createTestNetwork(seed))
        for (const [kind, count] of await answerAll(epoch))
          total.set(kind, (total.get(kind) ?? 0) + count)
    // No kind was left out by chance.
    const kinds = [
      'carry',
      'consistency',
      'entry',
      'first step',
      'omission',
      'omission of a later one',
      'reveal',
      'step',
    ]
    for (const kind of kinds) expect(total.get(kind), kind).toBeGreaterThan(40)
  })
})
