import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HttpRequest, HttpResponse } from '@foodsave-backup/backup-nest';
import { pathOf } from '@foodsave-backup/backup-nest';
import type { NestExpressApplication } from '@nestjs/platform-express';

const MOUNT = '/backup';
const DIST = fileURLToPath(new URL('../../web/dist/', import.meta.url));
const INDEX = path.join(DIST, 'index.html');
const YEAR_SECONDS = 31_536_000;

const NOT_BUILT = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>FoodSave Backup</title>
  <h1>The page has not been built yet</h1>
  <p>Run <code>npm run setup</code> in the directory of the project, then reload this page.</p>
  <p>The API works without it: <a href="/api/docs">/api/docs</a>.</p>
</html>
`;

interface FileResponse extends HttpResponse {
  sendFile(file: string): void;
}

/** The web page under /backup. Its own addresses (`/backup/runs/…`) are answered with the page, which knows them. */
export function serveWeb(app: NestExpressApplication): void {
  app.useStaticAssets(DIST, {
    prefix: MOUNT,
    index: false,
    redirect: false,
    setHeaders: (response: HttpResponse, file: string) => {
      response.setHeader('Cache-Control', cacheControl(path.relative(DIST, file)));
    },
  });
  app.use(MOUNT, (request: HttpRequest, response: FileResponse, next: () => void) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') next();
    // A file of the page that is not there is missing: the page in its place would be taken for a script.
    else if (isFile(pathOf(request))) next();
    else sendPage(response);
  });
}

/** `/assets/…` and what lies beside the page; `/backups/release-1.2` is an address of the page. */
function isFile(address: string): boolean {
  const inside = address.startsWith(`${MOUNT}/`) ? address.slice(MOUNT.length) : address;
  return inside.startsWith('/assets/') || /^\/[^/]+\.[^/]+$/.test(inside);
}

/** Names of built assets contain a hash of their content. */
function cacheControl(file: string): string {
  return file.startsWith(`assets${path.sep}`) ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache';
}

function sendPage(response: FileResponse): void {
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  if (existsSync(INDEX)) response.sendFile(INDEX);
  else response.status(503).end(NOT_BUILT);
}
