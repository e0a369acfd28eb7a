// Made by `npm run build` from mpc/kernel/assembly; .ci/run compares it with a rebuild.
// sources and options: c80b396f0618a269f271830bfbd2d7afe03086477d5c5c8464ca41c8ba29f5d1

/** The kernel as WebAssembly, base64. */
export const binary =
  'AGFzbQEAAAABDAJgBH9/f38AYAABfwMDAgABBQQBAUBABycDCmFyZW5hU3RhcnQAAQ10cmFuc3Bvc2VCaXRzAAAGbWVtb3J5AgAKNgIuAQF/A0AgBCACIANsQQN1SARAIAEgBGogACAEai0AADoAACAEQQFqIQQMAQsLCwUAQYAICw=='
