//! Starts and ends a confined process tree.
