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

/// `git add`.
pub(crate) const ADD: Known = Known {
    long: "all chmod dry-run edit force ignore-errors ignore-missing ignore-removal intent-to-add interactive patch \
        pathspec-file-nul pathspec-from-file refresh renormalize sparse update verbose warn-embedded-repo",
    short: "nvipefuNA",
    usage: Some(include_str!("usage/add.txt")),
};

/// `git checkout`.
pub(crate) const CHECKOUT: Known = Known {
    long: "conflict detach force guess ignore-other-worktrees ignore-skip-worktree-bits merge orphan ours overlay \
        overwrite-ignore patch pathspec-file-nul pathspec-from-file progress quiet recurse-submodules theirs track",
    short: "bBlqdtfm23p",
    usage: Some(include_str!("usage/checkout.txt")),
};

/// `git switch`.
pub(crate) const SWITCH: Known = Known {
    long: "conflict create detach discard-changes force force-create guess ignore-other-worktrees merge orphan \
        overwrite-ignore progress quiet recurse-submodules track",
    short: "cCqdtfm",
    usage: Some(include_str!("usage/switch.txt")),
};

/// `git restore`.
pub(crate) const RESTORE: Known = Known {
    long: "conflict ignore-skip-worktree-bits ignore-unmerged merge ours overlay patch pathspec-file-nul \
        pathspec-from-file progress quiet recurse-submodules source staged theirs worktree",
    short: "sSWqm23p",
    usage: Some(include_str!("usage/restore.txt")),
};

/// `git reset`.
pub(crate) const RESET: Known = Known {
    long: "hard intent-to-add keep merge mixed patch pathspec-file-nul pathspec-from-file quiet recurse-submodules \
        refresh soft",
    short: "qpN",
    usage: Some(include_str!("usage/reset.txt")),
};

/// `git rm`.
pub(crate) const RM: Known = Known {
    long: "cached dry-run force ignore-unmatch pathspec-file-nul pathspec-from-file quiet sparse",
    short: "nqfr",
    usage: Some(include_str!("usage/rm.txt")),
};

/// `git mv`.
pub(crate) const MV: Known = Known {
    long: "dry-run force sparse verbose",
    short: "vnfk",
    usage: Some(include_str!("usage/mv.txt")),
};

/// `git commit`.
pub(crate) const COMMIT: Known = Known {
    long: "ahead-behind all allow-empty allow-empty-message amend author branch cleanup date dry-run edit file fixup \
        gpg-sign include interactive long message null only patch pathspec-file-nul pathspec-from-file porcelain \
        post-rewrite quiet reedit-message reset-author reuse-message short signoff squash status template trailer \
        untracked-files verbose verify",
    short: "qvFmcCsteSaiponzu",
    usage: Some(include_str!("usage/commit.txt")),
};
