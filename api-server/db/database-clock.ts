/**
 * The database's time, for what several api-servers have to judge alike: their own clocks may be far apart. Each row that is read
 * brings it along, so that it costs no question of its own; between two of them it goes on by this machine's measure of what
 * passes, which nobody sets.
 */
export interface DatabaseClock {
  /** Until something was learned, this machine's time. */
  now(): Date;
  /** @param moment the database's `clock_timestamp()`, in an answer that came just now */
  learn(moment: Date): void;
}

export function createDatabaseClock(): DatabaseClock {
  let known = Date.now();
  let learned = performance.now();
  return {
    now: () => new Date(known + (performance.now() - learned)),
    learn(moment) {
      known = moment.getTime();
      learned = performance.now();
    },
  };
}
