import type { Socket } from 'node:net'
import type { Request, Response } from 'express'

/** For each connection, when its last request will have been answered. */
const answered = new WeakMap<Socket, Promise<void>>()

/**
 * Waits until all earlier requests of the same connection have been answered, and the answers taken. Whoever sends many
 * at once and reads nothing would otherwise have all of their answers made and kept.
 * @returns false when the connection has gone meanwhile, and nobody waits for an answer
 */
export async function inTurn({ socket }: Request, res: Response): Promise<boolean> {
  const before = answered.get(socket)
  answered.set(
    socket,
    new Promise((resolve) => {
      res.once('close', () => resolve())
    }),
  )
  await before
  return !socket.destroyed
}
