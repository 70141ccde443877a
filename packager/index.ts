/** What the rest of Adit may use of the packager. */
export { ConfigError, readPackagerConfig, type PackagerConfig } from './config.js';
export { startPackager, type Packager } from './packager.js';
