# States that matter to what writes: read by states.sh, listed by `bash states.sh --list-writes`.
w_orphan() { base; git checkout -q --orphan fresh-start; }
w_orphan_empty() { base; git switch -q --orphan fresh-start; }
w_packed() { base; git branch one; git branch -q feature/two HEAD~1; git tag zz; git pack-refs --all; git gc -q 2>/dev/null; echo more >> a.txt; }
w_two_remotes() { base; git branch dev; git clone -q --bare . .git/r1 2>/dev/null; git branch -q -D dev; git remote add origin "$PWD/.git/r1"; git remote add fork "$PWD/.git/r1"; git fetch -q --all 2>/dev/null; }
w_one_remote() { base; git branch dev HEAD~1; git branch topic/x; git clone -q --bare . .git/r1 2>/dev/null; git branch -q -D dev topic/x; git remote add origin "$PWD/.git/r1"; git fetch -q origin 2>/dev/null; echo more >> a.txt; }
w_merge_squash() { base; git checkout -q -b side; file s1 's\n'; git add .; commit s1; file s2 's\n'; git add .; commit s2; git checkout -q main; commit other; git merge --squash side >/dev/null 2>&1; }
w_merge_no_commit() { base; git checkout -q -b side; file s1 's\n'; git add .; commit s1; git checkout -q main; file m1 'm\n'; git add .; commit other; git merge --no-commit side >/dev/null 2>&1; }
w_pick_sequence() { conflict; git checkout -q side; file later 'l\n'; git add .; commit later; git checkout -q main; git cherry-pick side~1 side >/dev/null 2>&1 || true; }
w_pick_resolved() { conflict; git cherry-pick side >/dev/null 2>&1 || true; git checkout -q --theirs a.txt both; git add .; }
w_pick_empty() { base; git checkout -q -b side; sed -i 's/^line 20$/twenty/' a.txt; git commit -qam 'same'; git checkout -q main; sed -i 's/^line 20$/twenty/' a.txt; at; git commit -qam 'same here'; git cherry-pick side >/dev/null 2>&1 || true; }
w_pick_no_commit() { conflict; git reset -q --hard HEAD~1; git cherry-pick -n side >/dev/null 2>&1 || true; }
w_revert_sequence() { base; echo x >> new.txt; git commit -qam n1; echo y >> new.txt; at; git commit -qam n2; git revert HEAD~1 HEAD >/dev/null 2>&1 || true; }
w_revert_resolved() { s_revert; git add . ; }
w_rebase_resolved() { s_rebase; git checkout -q --theirs . 2>/dev/null; git add .; }
w_rebase_branches() { base; git branch one; git branch two HEAD~1; GIT_SEQUENCE_EDITOR="sed -i 's/^pick/edit/'" git rebase -q -i HEAD~2 >/dev/null 2>&1 || true; echo more >> a.txt; file fresh 'f\n'; }
w_stash_conflict() { base; echo stashed >> new.txt; git stash -q; echo other >> new.txt; git commit -qam other; git stash pop >/dev/null 2>&1 || true; }
w_stash_untracked() { base; file u1 'u\n'; file dir/u2 'u\n'; echo x >> a.txt; git add a.txt; echo y >> a.txt; git stash push -q -u -m 'with others'; }
w_stash_same() { base; echo x >> a.txt; git stash -q; echo x >> a.txt; file u 'u\n'; }
w_conflict_kinds() {
	base; lines 1 20 'r ' > ren; lines 1 20 'q ' > both_ren; file gone_here '1\n2\n'; file gone_there '1\n2\n'; file mode 'm\n'; file bin '\0001\n'; ln -s a lnk; file dirfile 'd\n'; git add .; commit 'more files'
	git checkout -q -b side; git mv ren ren_side; echo side >> ren_side; git mv both_ren ren_b; git rm -q gone_there; echo side >> gone_here; chmod +x mode; file bin '\0002\n'; ln -sfn side lnk; git rm -q dirfile; file dirfile/in 'x\n'; file added 'side\n'; git add .; commit 'side of all'
	git checkout -q main; echo main >> ren; git mv both_ren ren_a; git rm -q gone_here; echo main >> gone_there; file mode 'changed\n'; file bin '\0003\n'; ln -sfn main lnk; echo main >> dirfile; file added 'main\n'; git add .; commit 'main of all'
}
w_conflict_kinds_met() { w_conflict_kinds; git merge side >/dev/null 2>&1 || true; }
w_renames_meet() { base; git checkout -q -b side; git mv a.txt b.txt; git mv src lib; commit 'side moves'; git checkout -q main; sed -i 's/^line 3$/three/' a.txt; file src/new.c 'int x;\n'; git add .; commit 'main edits'; }
w_dir_rename() { base; for i in 1 2 3; do lines 1 9 "f$i " > docs/f$i; done; git add .; commit more; git checkout -q -b side; git mv docs papers; commit 'docs to papers'; git checkout -q main; file docs/later 'later\n'; git add .; commit 'later'; }
w_filemode_off() { base; git config core.fileMode false; chmod +x a.txt; echo x >> new.txt; file exec 'e\n'; chmod +x exec; }
w_ignore_case() { base; git config core.ignoreCase true; file A.TXT 'upper\n'; file Docs/other 'o\n'; }
w_no_symlinks() { base; ln -s a.txt link; git add link; commit link; git config core.symlinks false; rm link; printf 'new.txt' > link; }
w_no_identity() { base; printf '[user]\n\tuseConfigOnly = true\n' >> .git/config; git config user.name ''; git config user.email ''; echo x >> a.txt; git add a.txt; }
w_template() { base; file tmpl '# comment\ntemplate text\n\nbody\n'; git config commit.template tmpl; echo x >> a.txt; git add a.txt; }
w_settings() { base; git config commit.verbose true; git config core.commentChar ';'; git config advice.detachedHead false; git config advice.statusHints false; git config branch.autoSetupMerge always; git config core.logAllRefUpdates always; git config commit.status false; echo x >> a.txt; git add a.txt; git branch one; file u 'u\n'; }
w_nested_repo() { base; git init -q -b main inner; (cd inner; file i 'i\n'; git add .; commit inner); git init -q -b main empty; file plain/p 'p\n'; }
w_submodule_gone() { s_submodule; git -C sub checkout -q -- f; rm sub/u; git submodule -q deinit -f sub >/dev/null 2>&1; }
w_submodule_staged() { s_submodule_moved; git add sub; echo x >> a.txt; }
w_submodule_clean() { s_submodule; git -C sub checkout -q -- f; rm sub/u; git branch without HEAD~1; }
w_in_worktree() { base; git branch other; git branch third HEAD~1; git worktree add -q .git/linked other >/dev/null 2>&1; mv .git/linked ../linked-$$; rm -rf a.txt src docs new.txt; mv .git .main; mv ../linked-$$ .t; mv .t/* .; mv .t/.git .; rmdir .t; sed -i "s,^gitdir: .*,gitdir: $PWD/.main/worktrees/linked," .git; echo "$PWD/.git" > .main/worktrees/linked/gitdir; echo .main >> .main/info/exclude; echo x >> a.txt; file u 'u\n'; }
w_sparse_dirty() { base; git sparse-checkout set --no-cone docs 'new.txt' >/dev/null 2>&1; echo x >> docs/read.md; file docs/u 'u\n'; file src/u 'u\n'; git branch one HEAD~1; }
w_sparse_cone() { base; file docs/in/deep 'd\n'; git add .; commit deep; git sparse-checkout set --cone --no-sparse-index docs >/dev/null 2>&1; echo x >> docs/read.md; git branch one HEAD~1; }
w_split_dirty() { base; git update-index --split-index; echo x >> a.txt; file u 'u\n'; git branch one HEAD~1; }
w_no_index() { base; rm .git/index; }
w_removed_dir() { base; git rm -q -r docs; file docs/again 'x\n'; git mv src lib; }
w_eol_attributes() { base; printf '* text=auto\n*.sh eol=lf\n*.bat eol=crlf\n' > .gitattributes; printf 'a\r\nb\r\n' > t.bat; printf 'a\nb\n' > t.sh; git add . 2>/dev/null; commit attributes; printf 'a\r\nb\r\nc\n' > t.sh; printf 'one\r\ntwo\r\n' > fresh.txt; printf 'a\nb\n' > t.bat; git branch one HEAD~1; }
w_filter() { base; printf '*.dat filter=lfs\n' > .gitattributes; git add .; commit filter; git config filter.lfs.clean 'sed s/x/y/'; git config filter.lfs.smudge cat; file big.dat 'xx\n'; echo more >> a.txt; }
w_hooks() { base; printf '#!/bin/sh\necho hook\nexit 0\n' > .git/hooks-on; mkdir -p .git/my; for h in pre-commit post-commit commit-msg post-checkout prepare-commit-msg post-merge; do cp .git/hooks-on .git/my/$h; chmod +x .git/my/$h; done; rm .git/hooks-on; git config core.hooksPath .git/my; echo x >> a.txt; git branch one HEAD~1; }
w_odd_branches() { base; git branch -q 'täb'; git branch -q 'with-ä/β'; git branch -q 'x@y'; git branch -q -f one HEAD~1; git tag 'täg'; git checkout -q 'täb'; echo x >> a.txt; git config branch.one.description 'some words'; }
w_ambiguous() { base; git branch v1.0 HEAD~1 2>/dev/null; git tag one; git branch one HEAD~1 2>/dev/null; file main 'a file\n'; file one 'f\n'; }
w_upstream_names() { upstream; git checkout -q -b work; git branch -q -u main; commit w1; git branch -q local HEAD~2; git branch -q -u origin/main local; git config push.default current; }
w_symlinked_dir() { base; file real/f 'f\n'; git add .; commit real; rm -r real; file other/f 'o\n'; ln -s other real; ln -s docs link; }
w_deep_conflict() { base; git checkout -q -b side; file d/e/f 'side\n'; git add .; commit side; git checkout -q main; file d/e/f 'main\n'; git add .; commit main; git merge side >/dev/null 2>&1 || true; file d/u 'u\n'; }
w_shallow_two() { base; commit x; commit y; git clone -q --depth 2 "file://$PWD" .git/sh 2>/dev/null; mv .git/sh/.git ../tmp-$$; rm -rf .git; mv ../tmp-$$ .git; git remote set-url origin nowhere; echo more >> a.txt; }
w_alternates() { base; mv .git/objects .git/store; mkdir -p .git/objects/info .git/objects/pack; echo "$PWD/.git/store" > .git/objects/info/alternates; echo x >> a.txt; }
w_root_only() { git init -q -b main .; file a 'a\n'; git add .; commit root; echo b >> a; }
w_bisect_dirty() { s_bisect; echo x >> a.txt; git branch one; }
