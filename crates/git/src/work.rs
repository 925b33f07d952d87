//! The index and the work tree: what is in them, what is ignored or converted, and how files get there and back.

pub(crate) mod attr;
pub(crate) mod checkout_file;
pub(crate) mod convert;
pub(crate) mod ignore;
pub(crate) mod index;
pub(crate) mod index_edit;
pub(crate) mod pathspec;
pub(crate) mod pathspec_file;
pub(crate) mod refresh;
pub(crate) mod sparse;
pub(crate) mod split_index;
pub(crate) mod staging;
pub(crate) mod tree_index;
pub(crate) mod unpack;
pub(crate) mod untracked;
pub(crate) mod work_tree;
