export { coap } from './transports/coap.js'
