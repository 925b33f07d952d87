//! `git cat-file` of one object and `git ls-tree`.

use git2::ObjectType;

use crate::exec::{Call, Plan};
use crate::options::{Numbers, Spec, flag, maybe, parse};
use crate::outcome::{Out, Res, Stop};
use crate::repository::id::Id;
use crate::repository::object::{TreeEntry, mode, tree_entries};
use crate::repository::repo::Repo;
use crate::text::bytes::{Bytes, lossy};
use crate::text::quote;
use crate::work::pathspec::from_top;

/// Says what a cat-file would do.
pub(crate) fn plan(args: &[Bytes]) -> Res<Plan> {
    match args {
        // Two options, or an option's mistake: git explains its usage.
        [kind, name]
            if !name.starts_with(b"-")
                && matches!(
                    kind.as_slice(),
                    b"-t" | b"-s" | b"-p" | b"-e" | b"blob" | b"tree" | b"commit" | b"tag"
                ) =>
        {
            Ok(Plan::Read)
        }
        _ => Err(Stop::not_native("this form of `cat-file`")),
    }
}

/// Carries it out.
pub(crate) fn run(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    plan(args)?;
    let [what, name] = args else {
        return Err(Stop::not_native("this form of `cat-file`"));
    };
    let repo = Repo::open(call)?;
    let Some(id) = repo.resolve(name)? else {
        return Err(Stop::fatal(format!(
            "Not a valid object name {}",
            lossy(name)
        )));
    };
    let Some((kind, size)) = repo.header(id)? else {
        if what == b"-e" {
            return Err(Stop::exit(1));
        }
        let why = if what == b"-t" || what == b"-s" {
            "git cat-file: could not get object info"
        } else {
            ""
        };
        return Err(if why.is_empty() {
            Stop::fatal(format!("Not a valid object name {}", lossy(name)))
        } else {
            Stop::fatal(why)
        });
    };
    match what.as_slice() {
        b"-e" => {}
        b"-t" => out.put(format!("{}\n", kind.str())),
        b"-s" => out.put(format!("{size}\n")),
        b"-p" if kind == ObjectType::Tree => {
            let list = Listing {
                repo: &repo,
                quote: repo.quote_path()?,
                ..Listing::default_for(&repo)?
            };
            let data = repo.tree_data(id)?;
            for entry in tree_entries(&data) {
                list.line(&entry, entry.name, out)?;
            }
        }
        b"-p" => raw(&repo, id, out)?,
        wanted => {
            let mut at = id;
            let mut at_kind = kind;
            if wanted == b"tree" {
                at = repo.peel_to_tree(id)?.unwrap_or(id);
                at_kind = repo.header(at)?.map_or(kind, |(k, _)| k);
            } else if wanted != b"tag"
                && let Some((peeled, k)) = repo.peel(id)?
            {
                (at, at_kind) = (peeled, k);
            }
            if at_kind.str().as_bytes() != wanted {
                return Err(Stop::fatal(format!(
                    "git cat-file {}: bad file",
                    lossy(name)
                )));
            }
            raw(&repo, at, out)?;
        }
    }
    Ok(())
}

fn raw(repo: &Repo<'_>, id: Id, out: &mut Out) -> Res<()> {
    repo.read(id, |_, data| out.put(data))?;
    Ok(())
}

const TREE_OPTIONS: &[Spec] = &[
    flag("recursive", Some(b'r')),
    flag("directories", Some(b'd')),
    flag("trees", Some(b't')),
    flag("long", Some(b'l')),
    flag("zero", Some(b'z')),
    flag("name-only", None),
    flag("name-status", None),
    flag("object-only", None),
    flag("full-name", None),
    flag("full-tree", None),
    maybe("abbrev", None),
];

/// Says what an ls-tree would do.
pub(crate) fn plan_ls_tree(args: &[Bytes]) -> Res<Plan> {
    parse(args, TREE_OPTIONS, Numbers::No).map(|_| Plan::Read)
}

/// Carries out `git ls-tree`.
pub(crate) fn run_ls_tree(call: &Call<'_>, args: &[Bytes], out: &mut Out) -> Res<()> {
    let parsed = parse(args, TREE_OPTIONS, Numbers::No)?;
    let shapes = [
        parsed.has("long"),
        parsed.has("name-only"),
        parsed.has("name-status"),
        parsed.has("object-only"),
    ];
    if shapes.iter().filter(|given| **given).count() > 1 {
        return Err(Stop::not_native(
            "options of `ls-tree` that exclude each other",
        ));
    }
    let repo = Repo::open(call)?;
    let Some((name, paths)) = parsed.args.split_first() else {
        return Err(Stop::not_native("an ls-tree of nothing"));
    };
    if parsed.has("full-tree") && !repo.prefix.is_empty() {
        return Err(Stop::not_native("the full tree from below"));
    }
    let Some(id) = repo.resolve(name)? else {
        return Err(Stop::fatal(format!(
            "Not a valid object name {}",
            lossy(name)
        )));
    };
    let tree = repo
        .peel_to_tree(id)?
        .ok_or_else(|| Stop::fatal("not a tree object"))?;
    let mut wanted = Vec::new();
    for path in paths {
        wanted.push(
            from_top(&repo, path)?
                .ok_or_else(|| Stop::not_native("a path outside the repository"))?,
        );
    }
    if wanted.is_empty() && !repo.prefix.is_empty() {
        wanted.push(repo.prefix.clone());
    }
    if wanted.iter().any(Vec::is_empty) {
        // The top is everything.
        wanted.clear();
    }
    let list = Listing {
        repo: &repo,
        quote: repo.quote_path()?,
        nul: parsed.has("zero"),
        long: parsed.has("long"),
        name_only: parsed.has("name-only") || parsed.has("name-status"),
        object_only: parsed.has("object-only"),
        abbrev: match parsed.last("abbrev") {
            None => Id::digits(),
            Some(g) => match &g.value {
                None => repo.default_abbrev()?,
                Some(v) => match crate::text::bytes::parse_int(v).map(usize::try_from) {
                    Some(Ok(0)) => Id::digits(),
                    Some(Ok(n)) => n,
                    _ => return Err(Stop::not_native("the value of `--abbrev`")),
                },
            },
        },
        prefix: if parsed.has("full-name") || parsed.has("full-tree") {
            Bytes::new()
        } else {
            repo.prefix.clone()
        },
    };
    let walk = TreeWalk {
        list: &list,
        recursive: parsed.has("recursive"),
        trees: parsed.has("trees"),
        only_trees: parsed.has("directories"),
        wanted,
    };
    walk.directory(tree, &mut Bytes::new(), out)
}

struct TreeWalk<'l> {
    list: &'l Listing<'l>,
    recursive: bool,
    trees: bool,
    only_trees: bool,
    wanted: Vec<Bytes>,
}

impl TreeWalk<'_> {
    fn directory(&self, tree: Id, dir: &mut Bytes, out: &mut Out) -> Res<()> {
        self.list.repo.cancel().check()?;
        let data = self.list.repo.tree_data(tree)?;
        let len = dir.len();
        for entry in tree_entries(&data) {
            dir.extend_from_slice(entry.name);
            let is_tree = mode::is_tree(entry.mode);
            // A path below a directory, or with a slash at its end, opens it.
            let opens = is_tree
                && self
                    .wanted
                    .iter()
                    .any(|w| w.len() > dir.len() && w.starts_with(dir) && w[dir.len()] == b'/');
            let named = self.wanted.is_empty()
                || self.wanted.iter().any(|w| {
                    if w.ends_with(b"/")
                        && !is_tree
                        && !mode::is_commit(entry.mode)
                        && w.len() > dir.len()
                    {
                        return false;
                    }
                    let w = w.strip_suffix(b"/").unwrap_or(w);
                    dir == w || (dir.starts_with(w) && (dir.get(w.len()) == Some(&b'/')))
                });
            if is_tree && (opens || (named && self.recursive)) {
                if self.trees && (named || opens) || (self.only_trees && named && self.recursive) {
                    self.list.line(&entry, dir, out)?;
                }
                dir.push(b'/');
                self.directory(entry.id, dir, out)?;
            } else if named && (!self.only_trees || is_tree || mode::is_commit(entry.mode)) {
                self.list.line(&entry, dir, out)?;
            }
            dir.truncate(len);
        }
        Ok(())
    }
}

struct Listing<'r> {
    repo: &'r Repo<'r>,
    quote: bool,
    nul: bool,
    long: bool,
    name_only: bool,
    object_only: bool,
    abbrev: usize,
    prefix: Bytes,
}

impl<'r> Listing<'r> {
    fn default_for(repo: &'r Repo<'r>) -> Res<Listing<'r>> {
        Ok(Listing {
            repo,
            quote: true,
            nul: false,
            long: false,
            name_only: false,
            object_only: false,
            abbrev: Id::digits(),
            prefix: Bytes::new(),
        })
    }

    fn line(&self, entry: &TreeEntry<'_>, path: &[u8], out: &mut Out) -> Res<()> {
        let kind = if mode::is_tree(entry.mode) {
            "tree"
        } else if mode::is_commit(entry.mode) {
            "commit"
        } else {
            "blob"
        };
        let id = self.repo.abbreviate(entry.id, self.abbrev)?;
        let end = if self.nul { "\0" } else { "\n" };
        if self.object_only {
            out.put(format!("{id}{end}"));
            return Ok(());
        }
        if !self.name_only {
            out.put(format!("{:06o} {kind} {id}", entry.mode));
            if self.long {
                let size = match kind {
                    "blob" => self
                        .repo
                        .header(entry.id)?
                        .map_or("BAD".to_string(), |(_, size)| size.to_string()),
                    _ => "-".to_string(),
                };
                out.put(format!(" {size:>7}"));
            }
            out.put("\t");
        }
        let shown = quote::relative(path, &self.prefix);
        out.put(if self.nul {
            shown
        } else {
            quote::c_style(&shown, self.quote)
        });
        out.put(end);
        Ok(())
    }
}
