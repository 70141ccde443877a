/** Puts a text on the clipboard. */
import { useState } from 'preact/hooks';
import { announce } from './announce.js';

const SHOWN_FOR = 2_000;

export function CopyButton({ text, label, what }: { text: string; label: string; what: string }) {
  const [state, setState] = useState<'ready' | 'copied' | 'refused'>('ready');
  const copy = async (): Promise<void> => {
    const copied = await write(text);
    setState(copied ? 'copied' : 'refused');
    announce(copied ? `${what} copied.` : `${what} could not be copied: the browser does not allow it.`);
    setTimeout(() => setState('ready'), SHOWN_FOR);
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()}>
      {state === 'ready' ? label : state === 'copied' ? 'Copied' : 'Not allowed'}
    </button>
  );
}

/** Browsers have no clipboard for pages on plain HTTP, but for what is selected. */
async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    // Nothing else works there.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}
