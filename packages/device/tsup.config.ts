import { defineUniversalPackage } from '../../tsup.config'

export default defineUniversalPackage({
  // The software signer in a file of its own: bundlers that split would load its curves with any
  // other part of the index.
  everywhere: ['src/index.ts', 'src/webcrypto.ts', 'src/signers/createSoftwareSigner.ts'],
  node: [
    ...['src/node.ts', 'src/coap.ts', 'src/mqtt.ts', 'src/pkcs11.ts', 'src/serial.ts'],
    'src/tpm.ts',
  ],
})
