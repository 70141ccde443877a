/** The values of fields, with how many documents have them, to choose from. */
import { number } from '../foundation/words.js';
import type { Overview, Spread } from './overview.js';

interface FieldsProps {
  fields: readonly string[];
  overview: Overview | undefined;
  chosen: Readonly<Record<string, readonly string[]>>;
  onToggle: (field: string, value: string) => void;
  /** Fields of which many values are shown. */
  widened: readonly string[];
  onWiden: (field: string) => void;
}

export function Fields({ fields, overview, chosen, onToggle, widened, onWiden }: FieldsProps) {
  // A value in the URL can be given up again, whatever its field is.
  const all = [...fields, ...Object.keys(chosen).filter((field) => !fields.includes(field))];
  return (
    <>
      {all.map((field) => {
        const spread = overview?.fields[field];
        const values = valuesOf(spread, chosen[field] ?? []);
        if (spread !== undefined && values.length === 0) return null;
        return (
          <fieldset key={field} class="facet">
            <legend dir="auto">{field}</legend>
            <ul>
              {values.map(({ value, documents }) => (
                <li key={value}>
                  <label class="value">
                    <input
                      type="checkbox"
                      checked={chosen[field]?.includes(value) ?? false}
                      onChange={() => onToggle(field, value)}
                    />
                    <bdi class="value-name">{value === '' ? '(empty)' : value}</bdi>
                    <span class="value-count">
                      {documents === undefined ? '' : number(documents)}
                      <span class="unseen"> documents</span>
                    </span>
                  </label>
                </li>
              ))}
            </ul>
            {spread !== undefined && spread.of > spread.values.length && !widened.includes(field) && (
              <button type="button" class="quiet" onClick={() => onWiden(field)}>
                More of {number(spread.of)} <span class="unseen">values of {field}</span>
              </button>
            )}
          </fieldset>
        );
      })}
    </>
  );
}

/** What is chosen is always there, also where it is rare. */
function valuesOf(
  spread: Spread | undefined,
  chosen: readonly string[],
): readonly { value: string; documents?: number | undefined }[] {
  const values = spread?.values ?? [];
  const missing = chosen.filter((value) => !values.some((each) => each.value === value));
  return [...missing.map((value) => ({ value })), ...values];
}
