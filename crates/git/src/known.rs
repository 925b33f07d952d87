//! The options git knows for verbs it reads by tables, and what it prints when one is unknown.

use crate::options::Known;

/// `git status`.
pub(crate) const STATUS: Known = Known {
    long: "ahead-behind branch column find-renames ignore-submodules ignored long null porcelain renames short \
        show-stash untracked-files verbose",
    short: "vsbzuM",
    usage: Some(include_str!("usage/status.txt")),
};

/// `git branch`.
pub(crate) const BRANCH: Known = Known {
    long: "abbrev all color column contains copy create-reflog delete edit-description force format ignore-case list \
        merged move omit-empty points-at quiet recurse-submodules remotes set-upstream set-upstream-to show-current \
        sort track unset-upstream verbose with without",
    short: "vqturadDmMcClfi",
    usage: Some(include_str!("usage/branch.txt")),
};

/// `git tag`.
pub(crate) const TAG: Known = Known {
    long: "annotate cleanup color column contains create-reflog delete edit file force format ignore-case list \
        local-user merged message omit-empty points-at sign sort trailer verify with without",
    short: "lndvamFsfuie",
    usage: Some(include_str!("usage/tag.txt")),
};

/// `git ls-files`.
pub(crate) const LS_FILES: Known = Known {
    long: "abbrev cached debug deduplicate deleted directory empty-directory eol error-unmatch exclude exclude-from \
        exclude-per-directory exclude-standard format full-name ignored killed modified others recurse-submodules \
        resolve-undo sparse stage unmerged with-tree",
    short: "ztvfcdmoiskuxX",
    usage: Some(include_str!("usage/ls-files.txt")),
};
