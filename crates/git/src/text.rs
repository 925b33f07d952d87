//! Bytes, names, dates and colours as git reads and writes them; knows no repository.

pub(crate) mod approxidate;
pub(crate) mod bytes;
pub(crate) mod color;
pub(crate) mod columns;
pub(crate) mod date;
pub(crate) mod message;
pub(crate) mod patterns;
pub(crate) mod quote;
pub(crate) mod regexes;
pub(crate) mod trailers;
pub(crate) mod wildmatch;
pub(crate) mod wrap;
