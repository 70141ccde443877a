/** The query as the API takes it, and programs that ask it. */
import { useState } from 'preact/hooks';
import { CopyButton } from '../foundation/copy-button.js';
import { LANGUAGES, type Language, type Programmed } from './as-code.js';

export function QueryForPrograms({ programmed }: { programmed: Programmed }) {
  const [language, setLanguage] = useState<Language>('json');
  const { label, write } = LANGUAGES[language];
  const text = write(programmed);
  return (
    <details class="programs">
      <summary>The query, for programs</summary>
      <div class="programs-head">
        <div role="group" aria-label="Written in" class="choices">
          {(Object.keys(LANGUAGES) as Language[]).map((each) => (
            <button
              key={each}
              type="button"
              class="quiet"
              aria-pressed={each === language}
              onClick={() => setLanguage(each)}
            >
              {LANGUAGES[each].label}
            </button>
          ))}
        </div>
        <CopyButton text={text} label={language === 'json' ? 'Copy' : `Copy as ${label}`} what={label} />
      </div>
      <pre dir="ltr" tabIndex={0} aria-label={label}>
        {text}
      </pre>
    </details>
  );
}
