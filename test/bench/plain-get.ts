/** The leanest HTTP client that Node has, so that a poll's time is the service's and not the client's. */
import { Agent, request } from 'node:http';

export interface PlainClient {
  /** GET, or POST where it says so; resolves with the body's text. */
  ask(path: string, method?: 'GET' | 'POST'): Promise<string>;
  close(): void;
}

export function plainClient(url: string, key: string): PlainClient {
  const agent = new Agent({ keepAlive: true, noDelay: true });
  return {
    ask: (path, method = 'GET') =>
      new Promise((resolve, reject) => {
        const asked = request(`${url}${path}`, { agent, method, headers: { 'X-API-Key': key } }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.once('end', () => resolve(text));
        });
        asked.once('error', reject);
        asked.end();
      }),
    close: () => agent.destroy(),
  };
}
