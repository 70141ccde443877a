/** What both sides may be told of the broker beside its URL, as a configuration has it (design §7). */
import { z } from 'zod';
import { readAuthority } from './authority.js';
import { DIALECT_NAMES } from './dialect.js';

/** `BROKER_DIALECT`: undefined where the broker is what it calls itself. `BROKER_CA`: the PEM certificates in the file that it names. */
export const BROKER_SETTINGS = {
  BROKER_DIALECT: z.enum(DIALECT_NAMES, `must be one of ${DIALECT_NAMES.join(', ')}`).optional(),
  BROKER_CA: z
    .string()
    .transform((path, context) => {
      try {
        return readAuthority(path);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        context.addIssue({ code: 'custom', message: `cannot be used: ${error.message}` });
        return z.NEVER;
      }
    })
    .optional(),
};
