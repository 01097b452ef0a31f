import { expect, test } from 'vitest'
import { expectCaught } from './expectCaught.js'

// What an operator can leave out, carry over, or add up to.

const timeout = 60_000

const cases = [
  ['omit-batch', 'omission', 'WrongLeaf'],
  ['omit-batch:member', 'carry', 'WrongDevice'],
  ['wrong-carry', 'carry', 'WrongCumulative'],
  ['wrong-carry:swap', 'carry', 'WrongDevice'],
  ['wrong-carry:unpaid', 'carry', 'NotCarried'],
  ['inflate-total', 'step', 'WrongEntry'],
  ['inflate-total:node', 'reveal', 'WrongNodes'],
] as const

test.each(cases)('%s', { timeout }, async (name, caughtBy, refusal) => {
  const { challenges } = await expectCaught(name, caughtBy)
  expect(challenges.find(({ status }) => status === 'upheld')?.answer).toBe(refusal)
})
