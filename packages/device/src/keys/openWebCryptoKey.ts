import type { Signer } from '@machinefi/core'
import {
  createWebCryptoSigner,
  generateKeys,
  WebCryptoKeyError,
} from '../signers/createWebCryptoSigner.js'
import { addUnusedKey } from '../signers/unusedKeys.js'

/**
 * Opens a key that the browser keeps for this origin, in IndexedDB: P-256, made here and not
 * extractable, so that no script can carry it away. It survives reloads and restarts, until the
 * site's data is cleared; `navigator.storage.persist()` keeps the browser from doing so by itself.
 * Tabs that create a key of one name at the same time get the same.
 *
 * @param name Of the key, within the origin.
 * @throws {WebCryptoKeyError} with a `reason`.
 * @example
 * const signer = await openWebCryptoKey('walker', { create: true })
 */
export async function openWebCryptoKey(
  name: string,
  options: openWebCryptoKey.Options = {},
): Promise<Signer> {
  let keys: CryptoKeyPair | undefined
  let created: CryptoKeyPair | undefined
  try {
    const database = await openDatabase()
    try {
      keys = await use(database, 'readonly', (store) => store.get(name))
      if (keys === undefined && options.create) {
        created = await generateKeys()
        // What another tab stored meanwhile stays: `add` would fail, and `put` replace it.
        keys = await use(database, 'readwrite', (store) => {
          const found = store.get(name)
          found.onsuccess = () => found.result ?? store.add(created, name)
          return found
        })
        keys ??= created
      }
    } finally {
      database.close()
    }
  } catch (cause) {
    if (cause instanceof WebCryptoKeyError) throw cause
    throw new WebCryptoKeyError('storage', { cause })
  }
  if (keys === undefined) throw new WebCryptoKeyError('missing')
  const signer = await createWebCryptoSigner({ keys })
  if (keys === created) addUnusedKey(signer.publicKey)
  return signer
}

export declare namespace openWebCryptoKey {
  type Options = {
    /** Make the key when there is none. */
    create?: boolean | undefined
  }
  type ErrorType = WebCryptoKeyError
}

const storeName = 'keys'

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('machinefi', 1)
    request.onupgradeneeded = () => request.result.createObjectStore(storeName)
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** One transaction; resolves with the result of the request when all of it is on disk. */
function use<value>(
  database: IDBDatabase,
  mode: IDBTransactionMode,
  run: (store: IDBObjectStore) => IDBRequest<value>,
): Promise<value> {
  return new Promise((resolve, reject) => {
    // Strict: a key that registers and then is lost in a crash is a device lost.
    const transaction = database.transaction(storeName, mode, { durability: 'strict' })
    const request = run(transaction.objectStore(storeName))
    transaction.oncomplete = () => resolve(request.result)
    transaction.onabort = () => reject(transaction.error)
  })
}
