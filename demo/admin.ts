export interface NewUser {
  readonly name: string
  /** Gives the user this id, to take over backups of a user who had it. */
  readonly user_id?: string
}

/** Makes a user with the admin token; answers its first API key. @throws Error with the server's own words */
export async function createUser(
  url: string,
  adminToken: string,
  user: NewUser,
): Promise<{ apiKey: string; userId: string }> {
  const answer = await fetch(`${url}/admin/create-user`, {
    method: 'POST',
    headers: { authorization: adminToken, 'content-type': 'application/json' },
    body: JSON.stringify(user),
  })
  const body = (await answer.json()) as { api_key?: string; user_id?: string; err_msg?: string }
  if (body.api_key === undefined || body.user_id === undefined)
    throw new Error(`no user was made: ${body.err_msg ?? answer.status}`)
  return { apiKey: body.api_key, userId: body.user_id }
}
