/** Serves archives from a folder to those who hold a signed link: what S3 does where there is one. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import express, { type Router } from 'express';
import { ProblemError } from '../http/problems.js';
import { mediaTypeOf } from './archive-links/archive-links.js';
import { ARCHIVE_PATH, type FolderArchiveLinks } from './archive-links/folder-archive-links.js';

/** To be mounted at `/api`, before anybody is asked for a key: the signature is the key. */
export function archiveDownload(links: FolderArchiveLinks): Router {
  const router = express.Router();
  router.get(ARCHIVE_PATH, async (request, response) => {
    const archive = links.open(request.query);
    if (archive === undefined) throw new ProblemError('link-expired');
    const path = resolve(archive.path);
    if ((await stat(path).catch(() => undefined)) === undefined) throw new ProblemError('archive-expired');
    response.set({
      'Content-Type': mediaTypeOf(archive.filename),
      'Content-Disposition': `attachment; filename="${archive.filename}"`,
      // Strong, so that If-Range never splices two archives (RFC 9110 §13.1.5).
      ETag: `"${archive.sha256}"`,
      // RFC 9530 §3: the digest of the whole, also where a range is sent.
      'Repr-Digest': `sha-256=:${Buffer.from(archive.sha256, 'hex').toString('base64')}:`,
      'Cache-Control': 'private, no-transform',
    });
    await new Promise<void>((done, fail) => {
      response.sendFile(path, { cacheControl: false, dotfiles: 'allow' }, (error?: Error & { status?: number }) => {
        // A client that went away will come back with a range.
        if (error === undefined || response.headersSent) done();
        else if (error.status === 416) fail(new ProblemError('range-not-satisfiable'));
        else fail(error);
      });
    });
  });
  return router;
}
