import { defineUniversalPackage } from '../../tsup.config'

export default defineUniversalPackage({
  everywhere: ['src/index.ts', 'src/webcrypto.ts'],
  node: ['src/node.ts', 'src/pkcs11.ts', 'src/tpm.ts'],
})
