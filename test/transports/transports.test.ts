import { http } from '@machinefi/device'
import { coap } from '@machinefi/device/coap'
import { mqtt } from '@machinefi/device/mqtt'
import type { ListenOptions } from '@machinefi/stream'
import { describe } from 'vitest'
import { mosquittoMissing, startMosquitto } from './startMosquitto.js'
import { type Stand, testTransport } from './testTransport.js'

/** Ports that a node had are those it has again after it was closed. */
function keepPorts(options: ListenOptions) {
  let ports: ListenOptions = {
    ...(options.mqttPort !== undefined && { mqttPort: 0 }),
    ...(options.coapPort !== undefined && { coapPort: 0 }),
    port: 0,
  }
  return async ({ node }: Parameters<Stand['listen']>[0]) => {
    await node.listen({ ...options, ...ports })
    const { coap, http, mqtt } = node.urls
    const portOf = (url: string) => Number(new URL(url).port)
    ports = {
      port: portOf(http!),
      ...(mqtt !== undefined && { mqttPort: portOf(mqtt) }),
      ...(coap !== undefined && { coapPort: portOf(coap) }),
    }
    return node.urls
  }
}

testTransport('http', async () => {
  const listen = keepPorts({})
  let url = ''
  return {
    connect: (options) => http(url, options),
    async listen(t) {
      url = (await listen(t)).http!
    },
  }
})

testTransport('coap', async () => {
  const listen = keepPorts({ coapPort: 0 })
  let url = ''
  return {
    connect: (options) => coap(url, options),
    async listen(t) {
      url = (await listen(t)).coap!
    },
  }
})

for (const protocolVersion of [4, 5] as const)
  testTransport(`mqtt ${protocolVersion}: the broker of the node`, async () => {
    const listen = keepPorts({ mqttPort: 0 })
    let url = ''
    return {
      connect: (options) => mqtt(url, { ...options, protocolVersion }),
      async listen(t) {
        url = (await listen(t)).mqtt!
      },
    }
  })

describe.skipIf(mosquittoMissing)('mosquitto', () => {
  for (const protocolVersion of [4, 5] as const)
    testTransport(`mqtt ${protocolVersion}: a broker between`, async () => {
      const broker = await startMosquitto()
      const listen = keepPorts({ brokers: [{ protocolVersion, url: broker.url }] })
      return {
        close: broker.close,
        connect: (options) => mqtt(broker.url, { ...options, protocolVersion }),
        async listen(t) {
          await listen(t)
        },
      }
    })
})
