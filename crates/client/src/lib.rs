//! Typed HTTP client of a relay, for the command line and for tests.
