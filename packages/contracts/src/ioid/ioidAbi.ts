import { parseAbi } from 'viem'

/** What the SDK calls of IoTeX's `ioID`, the ERC-721 token that stands for a registered device. */
export const ioidAbi = /* @__PURE__ */ parseAbi([
  'function ownerOf(uint256 tokenId) view returns (address)',
  'function wallet(uint256 id) view returns (address wallet, string did)',
  'function wallet(string did) view returns (address)',
  'function deviceProject(address device) view returns (uint256)',
  'function projectDeviceCount(uint256 projectId) view returns (uint256)',
])
