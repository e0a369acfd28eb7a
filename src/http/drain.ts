/** Whether the server is on its way out. Set once. */
export class Drain {
  private begun = false

  get draining(): boolean {
    return this.begun
  }

  begin(): void {
    this.begun = true
  }
}
