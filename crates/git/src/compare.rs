//! Comparing files and trees, and printing the differences in each of git's formats.

pub(crate) mod combined;
pub(crate) mod diff_options;
pub(crate) mod diff_print;
pub(crate) mod dirstat;
pub(crate) mod histogram;
pub(crate) mod pair;
pub(crate) mod patch;
pub(crate) mod rename;
pub(crate) mod stat;
pub(crate) mod userdiff;
pub(crate) mod userdiff_builtin;
pub(crate) mod whitespace;
pub(crate) mod word_diff;
pub(crate) mod xdiff;
