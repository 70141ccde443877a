/** Secrets of an embedded service, made at random on its first start and known to its own processes only. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const secrets = z.object({ packagerKey: z.string().min(16), brokerPasscode: z.string().min(16) });
export type Secrets = z.infer<typeof secrets>;

/** Reads them from `DATA_DIR/secrets.json`, or makes them there, readable by the owner only. */
export async function readOrMakeSecrets(dataDir: string): Promise<Secrets> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, 'secrets.json');
  const made: Secrets = { packagerKey: random(), brokerPasscode: random() };
  try {
    await writeFile(path, JSON.stringify(made, null, 2), { flag: 'wx', mode: 0o600 });
    return made;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const result = secrets.safeParse(JSON.parse(await readFile(path, 'utf8')));
  if (!result.success) throw new Error(`${path} is damaged: ${z.prettifyError(result.error)}`);
  return result.data;
}

const random = (): string => randomBytes(24).toString('hex');
