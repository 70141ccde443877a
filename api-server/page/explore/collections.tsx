/** Which collections there are. */
import { api, bodyOf } from '../foundation/api.js';
import { useLoaded } from '../foundation/loading.js';
import { Loaded } from '../foundation/notices.js';
import { count } from '../foundation/words.js';

export function Collections() {
  const loading = useLoaded('collections', (signal) => bodyOf(api.GET('/collections', { signal })));
  return (
    <div class="column">
      <h1 tabIndex={-1}>Collections</h1>
      <Loaded of={loading} what="the collections">
        {(collections) =>
          collections.length === 0 ? (
            <p class="lead">There is none yet. Whoever runs this service fills them.</p>
          ) : (
            <ul class="cards">
              {collections.map(({ id, name, description, documents }) => (
                <li key={id} class="card">
                  <h2 dir="auto">
                    <a href={`/collections/${id}`}>{name}</a>
                  </h2>
                  {description !== null && <p dir="auto">{description}</p>}
                  <p class="facts">{count(documents, 'document')}</p>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </div>
  );
}
