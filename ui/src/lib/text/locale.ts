// How numbers and dates are written: as the browser's language says, where there is such a language.

/** Under LANG=C the web view calls its language "C", which Intl refuses with an exception. */
export function usable(language: string): string {
  try {
    new Intl.NumberFormat(language);
    return language;
  } catch {
    return "en-US";
  }
}

export const locale = usable(navigator.language);
