//! References: reading, writing, choosing and printing them, and what is logged of them.

pub(crate) mod branch_state;
pub(crate) mod ref_fields;
pub(crate) mod ref_filter;
pub(crate) mod ref_format;
pub(crate) mod ref_write;
pub(crate) mod reflog;
pub(crate) mod refs;
pub(crate) mod reftable;
