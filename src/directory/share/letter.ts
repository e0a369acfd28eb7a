/** What is written to an address that somebody has published keys with. The link stands on a line of its own. */
export const letter = (url: string) => ({
  subject: 'Verify this address for your shared keys',
  text: `Somebody, you as we hope, publishes keys with this address at ${new URL(url).host}.

If it was you, open this link:

${url}

It works until the share has been fetched or has expired, after 15 minutes as a rule.
If it was not you, do nothing, and do not open the link.
`,
})
