/** Asking for the same dump once more, where it is over or was never asked for. */
import { useState } from 'preact/hooks';
import type { RefusedError, UnreachableError } from '../foundation/api.js';
import { knownError } from '../foundation/loading.js';
import { ProblemNotice } from '../foundation/notices.js';
import { go } from '../foundation/place.js';
import { addressOf, askForDump, pageOf, type DumpAddress } from './dump-address.js';

/** @param force even where the last one is told to be there */
export function AskAgain({
  address,
  again,
  force = false,
  label = 'Ask for it again',
}: {
  address: DumpAddress;
  again: () => void;
  force?: boolean;
  label?: string;
}) {
  const [asking, setAsking] = useState<'no' | 'yes' | RefusedError | UnreachableError>('no');
  const ask = async (): Promise<void> => {
    setAsking('yes');
    try {
      const dump = await askForDump(address, { force });
      go(pageOf(addressOf(dump)), { replace: true });
      again();
    } catch (error) {
      setAsking(knownError(error));
    }
  };
  return (
    <>
      {typeof asking === 'object' && <ProblemNotice error={asking} />}
      <p class="actions">
        <button type="button" class="primary" disabled={asking === 'yes'} onClick={() => void ask()}>
          {asking === 'yes' ? 'Asking …' : label}
        </button>
      </p>
    </>
  );
}
