import { expect, test } from 'vitest'
import { expectCaught } from './expectCaught.js'

// What an operator can do to its log.

const timeout = 60_000

test('rewrite-log', { timeout }, async () => {
  await expectCaught('rewrite-log', 'consistency')
})

test('rewrite-log:posted', { timeout }, async () => {
  await expectCaught('rewrite-log:posted', 'consistency')
})

test('rewrite-log:hidden', { timeout }, async () => {
  await expectCaught('rewrite-log:hidden', 'consistency')
})

test('fork-log', { timeout }, async () => {
  const { challenges } = await expectCaught('fork-log', 'fork')
  expect(challenges).toEqual([])
})

test('truncate-log', { timeout }, async () => {
  const { challenges } = await expectCaught('truncate-log', 'truncation')
  expect(challenges).toEqual([])
})
