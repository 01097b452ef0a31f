import { existsSync, readFileSync } from 'node:fs'
import {
  type Abi,
  type AbiFunction,
  type Address,
  erc721Abi,
  type Hex,
  hashStruct,
  hashTypedData,
  keccak256,
  stringToHex,
  toFunctionSelector,
  toFunctionSignature,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { devAccount } from '../../test/startChain.js'
import { type IoidChain, startIoid } from '../../test/startIoid.js'
import { ContractError, InvalidArgumentError, NotFoundOnChainError } from '../errors.js'
import {
  ioidAbi,
  ioidAddresses,
  ioidPermitTypedData,
  ioidRegistryAbi,
  readIoid,
  readIoidNonce,
  registerIoid,
  removeIoid,
  signIoidPermit,
  updateIoid,
} from '../ioid.js'
import { ioidDomainSeparator } from './signIoidPermit.js'

const hash = keccak256(stringToHex('a document'))
const uri = 'ipfs://document'
const lower = (address: Address) => address.toLowerCase() as Address

describe('on a chain', () => {
  let chain: IoidChain
  let registry: Address
  let deviceContract: Address
  const owner = lower(devAccount(0).address)
  const other = lower(devAccount(1).address)

  beforeAll(async () => {
    chain = await startIoid()
    registry = chain.registry
    deviceContract = chain.deviceContract
  }, 60_000)
  afterAll(() => chain?.close())

  const createSigner = () => privateKeyToAccount(generatePrivateKey())

  async function permitOf(signer: ReturnType<typeof createSigner>, to: Address = owner) {
    const nonce = await readIoidNonce(chain.client, { registry, device: signer.address })
    return signIoidPermit({ chainId: chain.client.chain.id, nonce, owner: to, registry, signer })
  }

  async function register(signer = createSigner()) {
    const permit = await permitOf(signer)
    const token = await chain.mintToken()
    const parameters = { deviceContract, hash, permit, registry, tokenId: token, uri }
    await registerIoid(chain.client, parameters)
    return { device: permit.device, parameters, permit, signer, token }
  }

  const errorOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error) => error,
    )

  test('default: register, look up, update, remove', async () => {
    const { device, signer, token } = await register()
    const found = await readIoid(chain.client, { registry, device: signer.address })
    expect(found).toMatchObject({ device, did: `did:io:${device}`, hash, nonce: 1n, owner, uri })
    expect(found!.project).toBe(1n)
    const holder = await chain.client.readContract({
      abi: erc721Abi,
      address: deviceContract,
      functionName: 'ownerOf',
      args: [token],
    })
    expect(lower(holder)).toBe(found!.wallet)

    const next = { hash: keccak256('0x01'), uri: 'https://example.com/did.json' }
    const updated = await updateIoid(chain.client, {
      ...next,
      permit: await permitOf(signer),
      registry,
    })
    expect(updated.receipt.status).toBe('success')
    expect(await readIoid(chain.client, { registry, device })).toEqual({
      ...found,
      ...next,
      nonce: 2n,
    })

    await removeIoid(chain.client, { permit: await permitOf(signer), registry })
    expect(await readIoid(chain.client, { registry, device })).toBeNull()
    expect(await readIoidNonce(chain.client, { registry, device })).toBe(3n)
  })

  test('behavior: nobody there', async () => {
    expect(await readIoid(chain.client, { registry, device: other })).toBeNull()
  })

  test('behavior: another account sends it', async () => {
    const signer = createSigner()
    const permit = await permitOf(signer)
    const token = await chain.mintToken()
    const parameters = { deviceContract, hash, permit, registry, tokenId: token, uri }
    // The token is the owner's to give.
    const relay = { ...parameters, account: devAccount(1) }
    expect(await errorOf(registerIoid(chain.client, relay))).toBeInstanceOf(ContractError)
    const approval = await chain.client.writeContract({
      abi: erc721Abi,
      address: deviceContract,
      functionName: 'approve',
      args: [registry, token],
    })
    await chain.client.waitForTransactionReceipt({ hash: approval })
    await registerIoid(chain.client, relay)
    expect(await readIoid(chain.client, { registry, device: permit.device })).toMatchObject({
      owner,
    })
  })

  test('behavior: approved before, nothing is approved again', async () => {
    const all = await chain.client.writeContract({
      abi: erc721Abi,
      address: deviceContract,
      functionName: 'setApprovalForAll',
      args: [registry, true],
    })
    await chain.client.waitForTransactionReceipt({ hash: all })
    const permit = await permitOf(createSigner())
    const hashes: Hex[] = []
    const sent = await registerIoid(chain.client, {
      ...{ deviceContract, hash, permit, registry, tokenId: await chain.mintToken(), uri },
      onHash: (one) => hashes.push(one),
    })
    expect(hashes).toEqual([sent.hash])
  })

  test('error: a permit is for one call', async () => {
    const { parameters, permit, signer } = await register()
    const again = await errorOf(updateIoid(chain.client, { hash, permit, registry, uri }))
    expect(again.message).toContain('Error(invalid signature)')
    const twice = {
      ...parameters,
      permit: await permitOf(signer),
      tokenId: await chain.mintToken(),
    }
    expect((await errorOf(registerIoid(chain.client, twice))).message).toContain(
      'Error(device exists)',
    )
    // Removed, its token registers no other.
    await removeIoid(chain.client, { permit: await permitOf(signer), registry })
    const used = { ...parameters, permit: await permitOf(signer) }
    expect(await errorOf(registerIoid(chain.client, used))).toBeInstanceOf(ContractError)
  })

  test('error: a permit is of one registry, chain, owner and device', async () => {
    const { device, signer } = await register()
    const right = { chainId: 31_337, nonce: 1n, owner, registry, signer }
    for (const wrong of [
      { chainId: 4689 },
      { nonce: 2n },
      { owner: other },
      { registry: deviceContract },
      { signer: createSigner() },
    ]) {
      const permit = await signIoidPermit({ ...right, ...wrong })
      const forged = { ...permit, device, owner }
      const error = await errorOf(updateIoid(chain.client, { hash, permit: forged, registry, uri }))
      expect(error.message).toContain('Error(invalid signature)')
    }
    const permit = await signIoidPermit(right)
    await updateIoid(chain.client, { hash, permit, registry, uri })
  })

  test('error: another sender than the one that is permitted', async () => {
    const { signer } = await register()
    const permit = await permitOf(signer, other)
    for (const error of await Promise.all([
      errorOf(updateIoid(chain.client, { hash, permit, registry, uri })),
      errorOf(removeIoid(chain.client, { permit, registry })),
    ])) {
      expect(error).toBeInstanceOf(InvalidArgumentError)
      expect(error.message).toBe(
        `The device permits ${other}, and ${devAccount(0).address} would send.`,
      )
    }
    // Not the owner, but permitted by the device: that is the contract's rule.
    await updateIoid(chain.client, { account: devAccount(1), hash, permit, registry, uri })
  })

  test('error: not registered', async () => {
    const permit = await permitOf(createSigner())
    const error = await errorOf(removeIoid(chain.client, { permit, registry }))
    expect(error.message).toContain('Error(device not exists)')
  })

  test('error: no registry', async () => {
    const permit = await permitOf(createSigner())
    const balance = await chain.client.getBalance({ address: owner })
    for (const registry of [other, deviceContract]) {
      const parameters = { deviceContract, hash, permit, registry, tokenId: 1n, uri, value: 1n }
      const errors = await Promise.all([
        errorOf(readIoid(chain.client, { registry, device: permit.device })),
        errorOf(readIoidNonce(chain.client, { registry, device: permit.device })),
        errorOf(registerIoid(chain.client, parameters)),
        errorOf(updateIoid(chain.client, parameters)),
        errorOf(removeIoid(chain.client, parameters)),
      ])
      for (const error of errors) expect(error).toBeInstanceOf(NotFoundOnChainError)
    }
    expect(await chain.client.getBalance({ address: owner })).toBe(balance)
  })

  test('behavior: the stand-in has every function of the ABIs', () => {
    for (const [abi, name] of [
      [ioidRegistryAbi, 'IoidRegistryStandIn'],
      [ioidAbi, 'IoidStandIn'],
    ] as const)
      expect(shapesOf(chain.abis[name])).toEqual(expect.arrayContaining(shapesOf(abi)))
  })
})

/** Selector and outputs of each function: what two ABIs must share to be called alike. */
function shapesOf(abi: Abi): string[] {
  return abi
    .filter((item): item is AbiFunction => item.type === 'function')
    .map(
      (item) =>
        `${toFunctionSelector(item)} ${toFunctionSignature(item)} ${item.outputs.map(({ type }) => type)}`,
    )
}

describe('signIoidPermit', () => {
  test('error: no signature', async () => {
    const signer = {
      ...privateKeyToAccount(generatePrivateKey()),
      signTypedData: async () => '0x' as Hex,
    }
    const { registry } = ioidAddresses[4690]
    await expect(
      signIoidPermit({ chainId: 4690, nonce: 0n, owner: registry, registry, signer }),
    ).rejects.toThrow('The signer of an ioID permit returned no signature.')
  })
})

const vectors = new URL('../../../../../shared/vectors/iotex/', import.meta.url)

describe.skipIf(!existsSync(vectors))('what IoTeX published', () => {
  const read = (file: string) => JSON.parse(readFileSync(new URL(file, vectors), 'utf8'))

  test('typed data', () => {
    const { domain_separator, example, permit_typehash } = read('ioid-eip712.json')
    expect(keccak256(stringToHex('Permit(address owner,uint256 nonce)'))).toBe(permit_typehash)
    for (const [chainId, name] of [
      [4689, 'mainnet'],
      [4690, 'testnet'],
    ] as const) {
      const { registry } = ioidAddresses[chainId]
      expect(ioidDomainSeparator({ chainId, registry })).toBe(
        domain_separator[`${name}_${chainId}`],
      )
      const data = ioidPermitTypedData({
        ...{ chainId, registry, nonce: BigInt(example.nonce), owner: example.owner },
      })
      const { message, primaryType, types } = data
      expect(hashStruct({ data: message, primaryType, types })).toBe(example.struct_hash)
      expect(hashTypedData(data)).toBe(example[`digest_${name}`])
    }
  })

  test('ABIs', () => {
    // Registering for another account came later than these.
    const later = (shape: string) => shape.includes('address,uint256,address,address,bytes32')
    expect(shapesOf(read('abi/ioidregistry.json'))).toEqual(
      expect.arrayContaining(shapesOf(ioidRegistryAbi).filter((shape) => !later(shape))),
    )
    expect(shapesOf(read('abi/ioid.json'))).toEqual(expect.arrayContaining(shapesOf(ioidAbi)))
  })
})
