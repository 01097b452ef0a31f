import { expect, test } from 'vitest'
import { createReferenceStore } from '../../test/createReferenceStore.js'
import { testStore } from '../../test/testStore.js'
import { createMemoryStore } from '../index.js'

testStore('createMemoryStore', (options) => createMemoryStore(options), { keeps: false })
testStore('createReferenceStore', (options) => createReferenceStore(options))

test('behavior: a new memory store knows nothing', () => {
  const opened = createMemoryStore().open({
    network: new Uint8Array(32),
    device: new Uint8Array(20),
    schema: 1,
    fields: 1,
  })
  expect(opened).toEqual({
    nextSeq: undefined,
    lastTime: undefined,
    rows: [],
    reserved: [],
  })
})
