import type { Signer } from '@machinefi/core'
import { generateKeys, toSigner, WebCryptoKeyError } from '../signers/createWebCryptoSigner.js'
import { addUnusedKey } from '../signers/knownKeys.js'

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
  // Also where there is a key already: no transaction would wait for it to be made.
  const created = options.create ? await generateKeys() : undefined
  const keys = await findOrAdd(name, created).catch((cause) => {
    throw new WebCryptoKeyError('storage', cause)
  })
  if (keys === undefined) throw new WebCryptoKeyError('missing')
  const signer = await toSigner(keys)
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

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('machinefi', 1)
    request.onupgradeneeded = () => request.result.createObjectStore('keys')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** What is stored under the name, else `created`, which is stored then; resolves when it is on disk. */
async function findOrAdd(
  name: string,
  created: CryptoKeyPair | undefined,
): Promise<CryptoKeyPair | undefined> {
  const database = await openDatabase()
  return new Promise((resolve, reject) => {
    // Strict: a key that was registered and is lost in a crash is a device lost.
    const transaction = database.transaction('keys', 'readwrite', { durability: 'strict' })
    const store = transaction.objectStore('keys')
    const found = store.get(name)
    let keys = created
    found.onsuccess = () => {
      if (found.result !== undefined) keys = found.result
      else if (created !== undefined) store.add(created, name)
    }
    transaction.oncomplete = () => resolve(keys)
    transaction.onabort = () => reject(transaction.error)
    // Closed when the transaction is over.
    database.close()
  })
}
