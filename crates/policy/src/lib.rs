//! Decides allow, ask or deny for one action; pure.
