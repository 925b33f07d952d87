//! What travels on a wire: ids, tasks, events, messages, error codes, limits.

pub mod git;
