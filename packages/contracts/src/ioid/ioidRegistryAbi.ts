import { parseAbi } from 'viem'

/** What the SDK calls of IoTeX's `ioIDRegistry`. Deployments differ in events: state is read instead. */
export const ioidRegistryAbi = /* @__PURE__ */ parseAbi([
  'function register(address deviceContract, uint256 tokenId, address device, bytes32 hash, string uri, uint8 v, bytes32 r, bytes32 s) payable',
  'function register(address deviceContract, uint256 tokenId, address user, address device, bytes32 hash, string uri, uint8 v, bytes32 r, bytes32 s) payable',
  'function update(address device, bytes32 hash, string uri, uint8 v, bytes32 r, bytes32 s)',
  'function remove(address device, uint8 v, bytes32 r, bytes32 s)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function ioID() view returns (address)',
  'function nonces(address device) view returns (uint256)',
  'function exists(address device) view returns (bool)',
  'function documentHash(address device) view returns (bytes32)',
  'function documentURI(address device) view returns (string)',
  'function deviceTokenId(address device) view returns (uint256)',
  'function registeredNFT(address deviceContract, uint256 tokenId) view returns (bool)',
])
