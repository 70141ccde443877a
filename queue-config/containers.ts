/** What kind of file an archive is, as a package request says it in `archive` and as the archive's name ends. */

export const CONTAINERS = ['zip', 'tar.gz'] as const;
export type Container = (typeof CONTAINERS)[number];

/** What an archive is where nobody says. */
export const DEFAULT_CONTAINER: Container = 'zip';

export const MEDIA_TYPES: Readonly<Record<Container, string>> = {
  zip: 'application/zip',
  'tar.gz': 'application/gzip',
};

/** The container that a text names; undefined for a text that names none. */
export function parseContainer(text: string | undefined): Container | undefined {
  return CONTAINERS.find((container) => container === text);
}
