/** The page behind a link of a mail. Nothing is loaded from anywhere, and no script is in it. */
export function verificationPage(verified: boolean, said: string): string {
  const title = verified ? 'Address verified' : 'Not verified'
  const text = verified
    ? `<strong>${escaped(said)}</strong> now belongs to the keys that were published with it. Whoever receives them will still ask you for the fingerprint: tell it only to somebody who calls you, and whom you know.`
    : escaped(said)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>${title}</title>
<h1>${title}</h1>
<p>${text}</p>
</html>
`
}

const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
