/** Makes a user with the admin token; answers its first API key. @throws Error with the server's own words */
export async function createUser(
  url: string,
  adminToken: string,
  name: string,
): Promise<{ apiKey: string; userId: string }> {
  const answer = await fetch(`${url}/admin/create-user`, {
    method: 'POST',
    headers: { authorization: adminToken, 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  })
  const body = (await answer.json()) as { api_key?: string; user_id?: string; err_msg?: string }
  if (body.api_key === undefined || body.user_id === undefined)
    throw new Error(`no user was made: ${body.err_msg ?? answer.status}`)
  return { apiKey: body.api_key, userId: body.user_id }
}
