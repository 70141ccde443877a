/** Asks for a key, and finds out whether it is good before it is kept. */
import { useRef, useState } from 'preact/hooks';
import { api, bodyOf } from './foundation/api.js';
import { knownError } from './foundation/loading.js';
import { refusal, signIn } from './foundation/session.js';

export function SignIn() {
  const [asking, setAsking] = useState(false);
  const [fault, setFault] = useState<string | undefined>(refusal());

  const input = useRef<HTMLInputElement>(null);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const key = input.current?.value.trim() ?? '';
    // What a header cannot have is no key, and fetch would throw.
    if (!/^[\x21-\x7e]+$/.test(key)) {
      setFault(
        key === ''
          ? 'Paste your key here.'
          : 'A key has no spaces and no special characters. Was all of it copied, and nothing else?',
      );
      return;
    }
    setAsking(true);
    try {
      const who = await bodyOf(api.GET('/me', { headers: { 'X-API-Key': key } }));
      if (who.role === 'packager')
        setFault('This is the key of a packager, which makes archives. To search, you need the key of a miner.');
      else signIn(key, who);
    } catch (error) {
      setFault(knownError(error).message);
    } finally {
      setAsking(false);
    }
  };

  return (
    <main class="sign-in" id="content">
      <h1 tabIndex={-1}>Text collections, ready to study</h1>
      <p class="lead">
        Search a collection, fix what you found as a docset, and download it as one verified archive that you can cite.
      </p>
      <form onSubmit={(event) => void submit(event)} aria-busy={asking} noValidate>
        <label for="key">Your key</label>
        <div class="field-row">
          <input
            ref={input}
            id="key"
            name="key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            aria-invalid={fault !== undefined}
            aria-describedby={fault === undefined ? 'key-hint' : 'key-fault key-hint'}
          />
          <button type="submit" class="primary" disabled={asking}>
            {asking ? 'Asking …' : 'Begin'}
          </button>
        </div>
        {fault !== undefined && (
          <p id="key-fault" role="alert" class="fault">
            {fault}
          </p>
        )}
        <p id="key-hint" class="hint">
          It stays in this tab until you close it, and goes nowhere but to this service.
        </p>
      </form>
      <section aria-labelledby="whence">
        <h2 id="whence">Where do I get a key?</h2>
        <p>From the people who run this service: they make keys for everybody who may use it.</p>
        <p>
          If that is you: the first start showed one, and <code>npx adit keys create --name "Ada"</code> makes another.
        </p>
      </section>
    </main>
  );
}
