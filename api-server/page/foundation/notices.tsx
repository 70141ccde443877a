/** What is shown while something is not there, or cannot be. */
import type { ComponentChildren } from 'preact';
import { RefusedError, type UnreachableError } from './api.js';
import type { Loading } from './loading.js';

/** Says what went wrong and what would be right; `again` tries once more. */
export function ProblemNotice({
  error,
  again,
}: {
  error: RefusedError | UnreachableError;
  again?: (() => void) | undefined;
}) {
  const problem = error instanceof RefusedError ? error.problem : undefined;
  return (
    <div role="alert" class="notice problem">
      <p class="notice-title">{problem?.title ?? 'No answer'}</p>
      <p>{error.message}</p>
      {error instanceof RefusedError && error.retryAfter !== undefined && (
        <p>It is worth while to try again in {error.retryAfter} s.</p>
      )}
      <p class="notice-actions">
        {again !== undefined && (
          <button type="button" onClick={again}>
            Try again
          </button>
        )}
        {problem !== undefined && (
          <a href={problem.type} target="_blank" rel="noreferrer">
            What this means
          </a>
        )}
      </p>
    </div>
  );
}

/** Shows what was loaded; until then that it is being loaded, or why it cannot be. */
export function Loaded<Value>({
  of: loading,
  what,
  heading,
  children,
}: {
  of: Loading<Value> & { again?: () => void };
  /** Such as `the docsets`. */
  what: string;
  /** Where the heading of the view comes with what is loaded: the one that it has without. */
  heading?: string;
  children: (value: Value) => ComponentChildren;
}) {
  switch (loading.state) {
    case 'loading':
      return <p class="waiting">Loading {what} …</p>;
    case 'failed':
      return (
        <>
          {heading !== undefined && <h1 tabIndex={-1}>{heading}</h1>}
          <ProblemNotice error={loading.error} again={loading.again} />
        </>
      );
    case 'loaded':
      return <>{children(loading.value)}</>;
  }
}
