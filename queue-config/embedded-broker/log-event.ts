/** What the embedded broker tells its operator. */
export type LogEvent =
  | { event: 'listening'; url: string; webSocketUrl: string | undefined; recovered: number }
  | { event: 'connected'; connection: number; peer: string; login: string | undefined }
  | { event: 'disconnected'; connection: number; peer: string; reason: string }
  | { event: 'refused'; connection: number; peer: string; message: string }
  | { event: 'dead-lettered'; queue: string; message: string; reason: string }
  | { event: 'dead-letter-dropped'; message: string; reason: string }
  | { event: 'lock-taken-over'; folder: string; pid: number }
  | { event: 'journal-cut'; file: string; at: number; bytes: number; savedAs: string }
  | { event: 'journal-compacted'; from: number; to: number; milliseconds: number }
  | { event: 'journal-failed'; error: string }
  | { event: 'fault'; connection: number; error: string };

export type Log = (event: LogEvent) => void;
