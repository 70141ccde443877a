/** Chance that can be had again: the same seed and name give the same numbers. */

export interface Random {
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  pick<T>(list: readonly T[]): T;
}

export function createRandom(seed: number, name: string): Random {
  let state = seed;
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 0x9e3779b1);
  // Marsaglia's xorshift with a period of 2³²−1, of which 0 is no part.
  state = state === 0 ? 1 : state;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // Similar seeds are far apart after a few steps.
  for (let step = 0; step < 16; step++) next();
  const between: Random['between'] = (least, most) => least + Math.floor(next() * (most - least + 1));
  return {
    between,
    pick(list) {
      const picked = list[between(0, list.length - 1)];
      if (picked === undefined) throw new RangeError('nothing to pick from');
      return picked;
    },
  };
}
