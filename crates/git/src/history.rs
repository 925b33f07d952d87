//! Revisions: naming them, walking them in git's order, choosing among them, and printing a commit.

pub(crate) mod decorate;
pub(crate) mod follow;
pub(crate) mod graph;
pub(crate) mod line_range;
pub(crate) mod log_filter;
pub(crate) mod pickaxe;
pub(crate) mod pretty;
pub(crate) mod pretty_template;
pub(crate) mod rev;
pub(crate) mod rev_args;
pub(crate) mod rev_select;
pub(crate) mod revwalk;
pub(crate) mod topo;
