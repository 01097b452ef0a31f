export { MalformedCborError } from './cbor/generic.js'
export {
  type CoseHeader,
  decodeSign1,
  encodeSign1,
  MalformedSign1Error,
  type Sign1,
  type Sign1Reason,
  sign1Structure,
  signSign1,
  verifySign1,
} from './cose/sign1.js'
