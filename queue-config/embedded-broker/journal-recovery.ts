/** Reading a journal back after a stop, clean or not. */
import { open, type FileHandle } from 'node:fs/promises';
import type { Log } from './log-event.js';
import type { StoredMessage } from './message.js';
import { decodePayload, RECORD_HEAD, type JournalRecord } from './journal-record.js';

export interface RecoveredJournal {
  /** In the order of arrival. */
  messages: StoredMessage[];
  /** Bytes of whole records. */
  size: number;
}

const CHUNK = 1024 * 1024;

/**
 * Reads the journal, and cuts off what follows the last whole record: the write that a crash interrupted. What is cut is kept
 * beside it, for the case that it was the disk.
 * @throws {Error} when the file exists and is no journal
 */
export async function recoverJournal(path: string, log: Log): Promise<RecoveredJournal> {
  const file = await open(path, 'a+');
  try {
    const { size: fileSize } = await file.stat();
    const messages = new Map<number, StoredMessage>();
    let size = 0;
    for await (const { record, end } of readRecords(file, fileSize)) {
      if (size === 0 && record.type !== 'start') break;
      apply(record, messages);
      size = end;
    }
    if (size === 0 && fileSize > 0) await refuseForeignFile(file, path);
    if (size < fileSize) await cut(file, path, size, fileSize, log);
    return { messages: [...messages.values()].sort((a, b) => a.sequence - b.sequence), size };
  } finally {
    await file.close();
  }
}

function apply(record: JournalRecord, messages: Map<number, StoredMessage>): void {
  switch (record.type) {
    case 'start':
      return;
    case 'put':
      messages.set(record.message.sequence, record.message);
      messages.delete(record.replaces);
      return;
    case 'remove':
      for (const sequence of record.sequences) messages.delete(sequence);
      return;
    case 'redelivery': {
      const message = messages.get(record.sequence);
      if (message === undefined) return;
      message.redelivered = true;
      message.redeliveries = record.redeliveries;
    }
  }
}

async function* readRecords(
  file: FileHandle,
  fileSize: number,
): AsyncGenerator<{ record: JournalRecord; end: number }> {
  let held = Buffer.alloc(0);
  let at = 0;
  /** Makes at least `length` bytes from `at` on available, or says that the file has not so many. */
  const fill = async (length: number): Promise<boolean> => {
    if (at + length > fileSize) return false;
    if (held.length >= length) return true;
    const more = Buffer.allocUnsafe(Math.min(Math.max(CHUNK, length - held.length), fileSize - at - held.length));
    const { bytesRead } = await file.read(more, 0, more.length, at + held.length);
    held = Buffer.concat([held, more.subarray(0, bytesRead)]);
    return held.length >= length || (bytesRead > 0 && fill(length));
  };
  while (await fill(RECORD_HEAD)) {
    const length = held.readUInt32BE(0);
    const crc = held.readUInt32BE(4);
    if (length === 0 || !(await fill(RECORD_HEAD + length))) return;
    const record = decodePayload(held.subarray(RECORD_HEAD, RECORD_HEAD + length), crc);
    if (record === undefined) return;
    at += RECORD_HEAD + length;
    held = held.subarray(RECORD_HEAD + length);
    yield { record, end: at };
  }
}

/** A file that begins otherwise is somebody else's, unless it is so short that its first record may just be torn. */
async function refuseForeignFile(file: FileHandle, path: string): Promise<void> {
  const { size } = await file.stat();
  const head = Buffer.alloc(Math.min(size, RECORD_HEAD + 16));
  await file.read(head, 0, head.length, 0);
  if (size >= head.length && head.length === RECORD_HEAD + 16 && head.some((byte) => byte !== 0)) {
    throw new Error(`${path} is not a journal of this broker: move it away, or name another folder`);
  }
}

async function cut(file: FileHandle, path: string, size: number, fileSize: number, log: Log): Promise<void> {
  const savedAs = `${path}.cut`;
  const saved = await open(savedAs, 'w');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (let at = size; at < fileSize;) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK, fileSize - at), at);
      if (bytesRead === 0) break;
      await saved.writeFile(chunk.subarray(0, bytesRead));
      at += bytesRead;
    }
    await saved.sync();
  } finally {
    await saved.close();
  }
  await file.truncate(size);
  await file.sync();
  log({ event: 'journal-cut', file: path, at: size, bytes: fileSize - size, savedAs });
}
