// Under LANG=C the web view calls its language "C", which Intl refuses with an exception, and a
// library that formats a number while it is imported leaves the page blank. Imported first.

try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true });
  Object.defineProperty(navigator, "languages", { value: ["en-US"], configurable: true });
}

export {};
