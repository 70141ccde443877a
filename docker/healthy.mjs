/* global fetch, AbortSignal */
// Exits 0 where the service on this container's port says that it is healthy: `node docker/healthy.mjs 3000`.
const port = process.argv[2];
try {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(2500) });
  if (!response.ok) throw new Error(`/healthz answered ${response.status}`);
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
