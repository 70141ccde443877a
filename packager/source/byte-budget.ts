/** Limits how many bytes are held at a time; first come, first served. */

export interface ByteBudget {
  /** Resolves when there is room. What is larger than the whole budget goes alone. */
  take(bytes: number): Promise<void>;
  give(bytes: number): void;
}

export function createByteBudget(limit: number): ByteBudget {
  let held = 0;
  const waiting: { bytes: number; admit: () => void }[] = [];
  const admitNext = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (held > 0 && held + first.bytes > limit) return;
      held += first.bytes;
      waiting.shift();
      first.admit();
    }
  };
  return {
    take: (bytes) =>
      new Promise((resolve) => {
        waiting.push({ bytes, admit: resolve });
        admitNext();
      }),
    give(bytes) {
      held -= bytes;
      admitNext();
    },
  };
}
