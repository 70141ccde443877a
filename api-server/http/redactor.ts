/** Takes out of a text what lets somebody in: keys, and the signatures of links. */
const KEYS_AND_SIGNATURES = /(adit_[0-9A-Za-z]{1,8})_[0-9A-Za-z]+|(?<=[?&]signature=)[^&\s]+/g;

/** @param packagerKey may have any form */
export function redactor(packagerKey: string): (text: string) => string {
  const forms = [packagerKey, encodeURIComponent(packagerKey)];
  return (text) =>
    forms
      .reduce((rest, form) => rest.replaceAll(form, '[PACKAGER_KEY]'), text)
      .replaceAll(KEYS_AND_SIGNATURES, (_all, id: string | undefined) =>
        id === undefined ? '[signature]' : `${id}_[secret]`,
      );
}
