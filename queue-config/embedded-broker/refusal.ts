/** What the broker does not do, and says so in an ERROR frame. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** The body of the ERROR frame: what was expected, or what to do. */
  readonly detail: string;
  /** False where the connection stays usable, as after a SEND to a full queue. */
  readonly fatal: boolean;

  constructor(message: string, { detail = message, fatal = true }: { detail?: string; fatal?: boolean } = {}) {
    super(message);
    this.detail = detail;
    this.fatal = fatal;
  }
}

/** A limit was reached; both header and body name it with its value. */
export function overLimit(what: string, limit: number, unit: string, { fatal }: { fatal: boolean }): Refusal {
  return new Refusal(`${what} is limited to ${limit} ${unit}`, {
    detail: `The limit of this broker for ${what} is ${limit} ${unit}.`,
    fatal,
  });
}

/** What a peer sent, cut short and quoted for an error message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
