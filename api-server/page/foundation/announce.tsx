/** What is told to those who do not see the page change. */
import { signal } from '@preact/signals';

const told = signal('');

/** Read out when the screen reader has finished what it is saying. */
export const announce = (sentence: string): void => void (told.value = sentence);

/** Once in the page. */
export const LiveRegion = () => (
  <div role="status" aria-live="polite" class="unseen">
    {told}
  </div>
);
