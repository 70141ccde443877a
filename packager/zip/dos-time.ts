/** The one time that all entries of an archive carry, in the form of 1980. */

/** Zip times count in steps of two seconds from 1980 to 2107. */
const EARLIEST = Date.UTC(1980, 0, 1);
const LATEST = Date.UTC(2107, 11, 31, 23, 59, 58);
const STEP = 2000;

/** The nearest time that a zip can say; no clock of this machine goes into the archive. */
export function entryDate(created: Date): Date {
  const time = Number.isNaN(created.getTime()) ? EARLIEST : created.getTime();
  return new Date(Math.floor(Math.min(Math.max(time, EARLIEST), LATEST) / STEP) * STEP);
}

/** Of UTC: a zip knows no time zone, and the same docset must give the same bytes in each. */
export function dosTime(date: Date): { time: number; date: number } {
  return {
    time: (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1),
    date: ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate(),
  };
}
