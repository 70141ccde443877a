/** Where this tab's session has the key. */
export const KEY = 'adit-key';
