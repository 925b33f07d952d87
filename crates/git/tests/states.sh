# Repository states for the differential test: `bash states.sh <state> <empty directory>`.
# `bash states.sh --list` prints the names, `--list-writes` those of the states that are only written to. Every state is made by the real git, with fixed dates and people.
set -eu

tick=1700000000
at() { tick=$((tick + 3600)); export GIT_AUTHOR_DATE="$tick +0100" GIT_COMMITTER_DATE="$tick +0200"; }
commit() { at; git commit -q --allow-empty -m "$1"; }
file() { mkdir -p "$(dirname "$1")"; printf '%b' "$2" > "$1"; }
lines() { seq "$1" "$2" | sed "s/^/${3:-line }/"; }
base() {
	git init -q -b main .
	lines 1 40 > a.txt
	file src/lib.c 'int one(void)\n{\n\treturn 1;\n}\n\nint two(void)\n{\n\treturn 2;\n}\n'
	file docs/read.md '# Title\n\ntext\n'
	git add . && commit 'first commit'
	sed -i 's/^line 7$/line seven/; s/^line 30$/line thirty/' a.txt
	git commit -qa -m 'second commit

With a body
of two lines.' && at
	file new.txt 'new\n' && git add new.txt && commit 'add new.txt'
	git tag v1.0 && at && git tag -a v1.1 -m 'annotated tag'
}

s_unborn() { git init -q -b main .; }
s_unborn_staged() { git init -q -b main .; file a 'a\n'; git add a; file b 'b\n'; }
s_clean() { base; }
s_dirty() { base; echo more >> a.txt; rm new.txt; file untracked 'u\n'; file dir/u1 'u\n'; file dir/sub/u2 'u\n'; chmod +x src/lib.c; }
s_staged() { base; echo more >> a.txt; git add a.txt; echo again >> a.txt; git rm -q new.txt; file added 'x\ny\n'; git add added; }
s_renames() { base; git mv a.txt b.txt; sed -i 's/^line 20$/changed/' b.txt; git add b.txt; git mv src/lib.c src/main.c; mkdir moved; git mv docs/read.md moved/read.md; }
s_rename_history() { base; git mv a.txt b.txt; sed -i 's/^line 3$/three/' b.txt; git add .; commit 'rename with edit'; mkdir d; git mv b.txt d/b.txt; commit 'move'; cp d/b.txt copy.txt; git add .; commit 'copy'; lines 1 60 'other ' > o1; lines 1 60 'other ' > o2; git add .; commit 'two'; git mv o1 p1; echo x >> p1; git mv o2 p2; git add .; commit 'two renames'; }
s_intent() { base; file ita 'content\n'; git add -N ita; file ita2 'x\n'; git add -N ita2; rm ita2; echo z >> a.txt; }
s_modes() { base; ln -s a.txt link; git add link; commit 'link'; rm link; file link 'now a file\n'; chmod +x a.txt; rm new.txt; ln -s nowhere new.txt; }
s_modes_staged() { base; ln -s a.txt link; chmod +x docs/read.md; rm new.txt; ln -s a.txt new.txt; git add -A; }
s_odd_names() { base; file 'with space' '1\n'; file 'quote"d' '2\n'; file 'täb' '3\n'; file "new
line" '4\n'; file 'back\slash' '5\n'; git add .; commit 'odd names'; echo x >> 'with space'; echo x >> 'quote"d'; echo x >> 'täb'; file 'unträcked file' 'u\n'; git mv 'back\slash' 'pläce with space'; }
s_crlf() { base; printf '*.txt text\n*.crlf eol=crlf\n*.bin binary\n*.id ident\n' > .gitattributes; printf 'a\r\nb\r\n' > w.txt; printf 'x\ny\n' > y.crlf; printf '\0\1\2' > z.bin; printf '$Id$\n' > i.id; git add . 2>/dev/null; commit 'attributes'; printf 'a\r\nb\r\nc\r\n' > w.txt; printf '\0\1\2\3' > z.bin; }
s_autocrlf() { base; git config core.autocrlf true; printf 'one\r\ntwo\r\n' > w; git add w 2>/dev/null; commit 'crlf'; printf 'one\r\ntwo\r\nthree\r\n' > w; touch a.txt; }
s_no_eol() { base; printf 'no newline' > n; git add n; commit 'no eol'; printf 'no newline\n' > n; printf 'end' >> a.txt; }
s_blank() { base; sed -i 's/^line 5$/  line 5  /; 9s/^/\n/' a.txt; }
s_binary() { base; head -c 300 /dev/zero > z; git add z; commit 'binary'; printf 'x' >> z; printf '\0' > z2; git add z2; }
s_empty_files() { base; : > e1; : > e2; git add .; commit 'empty'; git mv e1 e3; rm e2; }
s_detached() { base; git checkout -q HEAD~1; }
s_detached_moved() { base; git checkout -q v1.0 2>/dev/null; commit 'on no branch'; }
conflict() { base; git checkout -q -b side; sed -i 's/^line 10$/side 10/' a.txt; file both 'side\n'; git rm -q new.txt; git add .; commit 'side'; git checkout -q main; sed -i 's/^line 10$/main 10/' a.txt; file both 'main\n'; echo more >> new.txt; git add .; commit 'main change'; }
s_merge_conflict() { conflict; git merge side >/dev/null 2>&1 || true; }
s_merge_resolved() { conflict; git merge side >/dev/null 2>&1 || true; git checkout -q --ours a.txt both; git add .; }
s_merged() { base; git checkout -q -b side; file side.txt 'side\n'; git add .; commit 'side work'; git checkout -q main; file main.txt 'main\n'; git add .; commit 'main work'; at; git merge -q --no-ff -m 'Merge side' side; commit 'after'; }
s_evil_merge() { conflict; at; git merge side >/dev/null 2>&1 || true; sed -i '/^[<=>]\{7\}/d' a.txt both; git add .; at; git commit -q -m 'evil merge'; }
s_octopus() { base; for b in x y z; do git checkout -q -b $b main; file $b.txt "$b\n"; git add .; commit "on $b"; done; git checkout -q main; at; git merge -q -m octopus x y z >/dev/null; }
s_rebase() { conflict; git rebase side >/dev/null 2>&1 || true; }
s_rebase_i() { base; GIT_SEQUENCE_EDITOR="sed -i 's/^pick/edit/'" git rebase -q -i HEAD~2 >/dev/null 2>&1 || true; }
s_cherry_pick() { conflict; git cherry-pick side >/dev/null 2>&1 || true; }
s_revert() { base; sed -i 's/^line seven$/7/' a.txt; git commit -qam change; git revert --no-edit HEAD~2 >/dev/null 2>&1 || true; }
s_bisect() { base; commit x; commit y; git bisect start -q >/dev/null; git bisect bad >/dev/null; git bisect good HEAD~4 >/dev/null; }
s_am() { conflict; git format-patch -q -1 side --stdout > p; git am p >/dev/null 2>&1 || true; }
s_notes() { base; at; git notes add -m 'a note' HEAD; at; git notes add -m 'older
note' HEAD~1; at; git notes --ref=other add -m 'other' HEAD; }
s_trailers() { base; commit 'with trailers

Text before: it.

Signed-off-by: Ann <ann@x.org>
Acked-by: Bob
 and others
Fixes: #12'; commit 'no trailers

Only: one
of these is a trailer, and this is not'; commit 'cherry

(cherry picked from commit 1234567)
Reviewed-by:  Carl'; git commit -q --allow-empty --cleanup=verbatim -m '
 odd   title
second	line

	body	with tabs  
'; }
s_cherry() { base; git checkout -q -b side; sed -i 's/^line 20$/twenty/' a.txt; git commit -qam 'same change'; commit 'side only'; git checkout -q main; commit 'main first'; sed -i 's/^line 20$/twenty/' a.txt; at; git commit -qam 'same change, other words'; commit 'main last'; git checkout -q side; at; git merge -q -m 'merge main' main >/dev/null 2>&1; commit 'after merge'; git checkout -q main; }
s_crisscross() { base; git checkout -q -b x; file x1 'x\n'; git add .; commit x1; git checkout -q -b y main; file y1 'y\n'; git add .; commit y1; at; git merge -q -m 'y takes x' x; git checkout -q x; at; git merge -q -m 'x takes y' y~1; commit x2; git checkout -q y; commit y2; at; git merge -q -m 'again' x; git checkout -q main; at; git merge -q --no-ff -m 'into main' y; git branch z HEAD~1; git checkout -q z; commit z1; git checkout -q main; }
s_blanks() { base; printf 'a \n\tb\n \tc\n        d\n' > ws; git add ws; commit 'blanks'; printf 'a\n\tb  \n \tc\t\n        d\nint  x = 1;\n<<<<<<< HEAD\n\n\n' > ws; sed -i 's/^line 5$/line  5/; s/^line 9$/line nine/; 12s/$/ /' a.txt; printf 'int one(void)\n{\n\treturn  1;\n}\n\n\nint two(int a)\n{\n\treturn 2 + a;\n}\n' > src/lib.c; }
s_stash() { base; echo 1 >> a.txt; git stash -q; echo 2 >> a.txt; git stash push -q -m 'named stash'; echo 3 >> a.txt; }
s_authors() { base; for n in 'Ann One <ann@x.org>' 'Bob Two <bob@y.org>' 'Änn Öne <ann@x.org>'; do at; git commit -q --allow-empty --author "$n" -m "by ${n%% *}"; done; printf 'Ann Mapped <mapped@x.org> <ann@x.org>\n' > .mailmap; git add .; commit 'mailmap'; }
upstream() { base; git clone -q --bare . ../up.git 2>/dev/null || true; rm -rf .up; mv ../up.git .git/up; git remote add origin "$PWD/.git/up"; git fetch -q origin 2>/dev/null; git branch -q -u origin/main; git remote set-head origin main; }
s_upstream_even() { upstream; }
s_upstream_ahead() { upstream; commit a1; commit a2; }
s_upstream_behind() { upstream; git reset -q --hard HEAD~1; }
s_upstream_diverged() { upstream; git reset -q --hard HEAD~1; commit other; }
s_upstream_gone() { upstream; git branch -q -r -d origin/main >/dev/null; }
s_branches() { base; git branch one; git branch -q feature/two HEAD~1; git branch three v1.1; git checkout -q feature/two; commit 'two moves'; git branch -q -u main; git tag zz; git tag -a ann -m 'tag message

body'; }
s_worktrees() { base; git branch other; git worktree add -q ../wt-$$ other >/dev/null 2>&1; mv ../wt-$$ .git/wt; git worktree repair -q .git/wt >/dev/null 2>&1 || true; }
s_submodule() { git init -q -b main .git-sub-src; (cd .git-sub-src; file f 'f\n'; git add .; commit sub); base; echo .git-sub-src >> .git/info/exclude; git -c protocol.file.allow=always submodule --quiet add "$PWD/.git-sub-src" sub 2>/dev/null; commit 'with submodule'; echo x >> sub/f; file sub/u 'u\n'; }
s_submodule_moved() { s_submodule; git -C sub checkout -q -- f; rm sub/u; (cd sub; commit 'sub moves'); }
s_assume() { base; git update-index --assume-unchanged a.txt; echo x >> a.txt; git update-index --skip-worktree new.txt; rm new.txt; }
s_ignored() { base; printf '*.o\nbuild/\n!keep.o\n/top\ndoc/*.tmp\n' > .gitignore; mkdir build doc sub mixed allign empty; touch x.o keep.o build/f top sub/top doc/a.tmp doc/b.txt mixed/a.o mixed/b.c allign/a.o; git add .gitignore; commit ignore; printf '!*.o\n' > sub/.gitignore; touch sub/s.o; }
s_ignored_dir_tracked() { base; echo '*.log' > .gitignore; file logs/a.log 'l\n'; git add -f .; commit 'forced'; echo x >> logs/a.log; touch logs/b.log logs/c; }
s_shallow() { base; git clone -q --depth 1 "file://$PWD" .git/sh 2>/dev/null; mv .git/sh/.git ../tmp-$$; rm -rf .git; mv ../tmp-$$ .git; }
s_config() { base; git config alias.st 'status -s'; git config diff.mnemonicPrefix true; git config log.date iso; git config core.abbrev 10; git config diff.renames false; git config status.showUntrackedFiles all; git config core.quotePath false; echo x >> a.txt; file d/ü 'u\n'; }
s_include() { base; printf '[user]\n\tname = Included\n[log]\n\tdate = short\n' > .git/extra; git config include.path extra; git config includeIf.onbranch:main.path extra2; printf '[core]\n\tabbrev = 12\n' > .git/extra2; }
s_dir_for_file() { base; rm a.txt; mkdir a.txt; file a.txt/inner 'i\n'; rm -r docs; file docs 'file\n'; }
s_subdir() { base; echo x >> docs/read.md; file docs/u 'u\n'; git rm -q --cached new.txt; }
s_long_history() { base; for i in $(seq 1 25); do echo $i >> a.txt; git add .; commit "change number $i"; done; git gc -q 2>/dev/null; }
s_topology() { base; for b in p q; do git checkout -q -b $b main~1; for i in 1 2; do file $b$i "$b$i\n"; git add .; commit "$b $i"; done; done; git checkout -q main; at; git merge -q --no-ff -m 'merge p' p; commit 'between'; at; git merge -q --no-ff -m 'merge q' q; sed -i 's/^line 12$/twelve/' a.txt; git add .; commit 'tail'; }
s_v4_index() { base; git update-index --index-version 4; echo x >> a.txt; file src/deep/er/x 'x\n'; git add .; }
s_encoding() { base; at; printf 'caf\351 subject\n\nbody \351\n' | git -c i18n.commitEncoding=ISO-8859-1 commit -q --allow-empty -F -; commit 'tab	in	subject'; at; git commit -q --allow-empty --cleanup=verbatim -m '

  leading blank lines

body	with	tabs   

'; }
s_headings() { base; printf '*.py diff=python\n*.md diff=markdown\n' > .gitattributes; { echo 'class A:'; lines 1 9 '    x'; echo '    def f(self):'; lines 10 30 '        y'; } > m.py; { echo '# One'; lines 1 9; echo '## Two'; lines 10 20; } > t.md; git add .; commit 'headings'; sed -i 's/y25/changed/' m.py; sed -i 's/line 15/changed/' t.md; }
s_bare() { base; git config core.bare true; mv .git/* . 2>/dev/null; rm -rf .git a.txt src docs new.txt; }
s_not_a_repo() { file x 'x\n'; }
s_sha256() { git init -q --object-format=sha256 -b main .; file a 'a\n'; git add .; commit first; }
s_reftable() { git init -q --ref-format=reftable -b main .; file a 'a\n'; git add .; commit first; }
s_split_index() { base; git update-index --split-index; echo x >> a.txt; }
s_sparse() { base; git sparse-checkout set --no-cone docs >/dev/null 2>&1; }
s_replace_note() { base; at; git notes add -m 'a note' HEAD; }

# Random histories and work trees, the same for the same number. bash seeds RANDOM anew in each subshell, so the numbers
# are our own: `r N` puts one below N into R.
r() { state=$(((state * 1103515245 + 12345) & 0x7fffffff)); R=$(((state >> 8) % $1)); }
random() {
	state=$1
	git init -q -b main .
	local words=(alpha beta gamma delta 'with blank' ünï deep/one deep/two deep/er/three x/y/z)
	pick() { local end=txt; r ${#words[@]}; picked=${words[R]}; r 4; picked+=$R; r 3; [ $R = 0 ] && end=c; picked+=.$end; }
	write() {
		local n i a; mkdir -p "$(dirname "$1")" 2>/dev/null || return 0; [ -d "$1" ] && return 0
		r 30; n=$R; : > "$1"
		for ((i = 0; i <= n; i++)); do r 40; a=$R; r 5; echo "line $a of $R" >> "$1"; done
		r 4; if [ $R = 0 ]; then printf 'no end' >> "$1"; fi
	}
	edit() { local f n; n=$(git ls-files | wc -l); r $((n + 1)); f=$(git ls-files -z | tr '\0\n' '\n?' | sed -n "$((R + 1))p"); [ -f "$f" ] || return 0; r 7; n=$R; r 9; case $n in
		0) git rm -qf -- "$f" ;;
		1) git mv -k -- "$f" "moved$R.txt" ;;
		2) sed -i "$((R + 1))d" -- "$f" ;;
		3) sed -i "$((R + 1))s/line/changed/" -- "$f" ;;
		4) echo "added $R" >> "$f" ;;
		5) chmod +x -- "$f" ;;
		6) [ "$f" = "copy$R.txt" ] || cp -- "$f" "copy$R.txt" ;;
		esac; return 0; }
	write first.txt; git add .; commit 'start'
	local n steps branch=main
	r 12; steps=$((R + 6))
	for ((n = 1; n <= steps; n++)); do
		for _ in 1 2 3; do pick; write "$picked"; edit; done
		git add -A; at; git commit -q --allow-empty -m "step $n"
		r 5; case $R in
		0) git checkout -q -b "branch$n"; branch=branch$n ;;
		1) git checkout -q main; branch=main ;;
		2) at; git merge -q -X ours -m "merge $n" main >/dev/null 2>&1 || git merge --abort 2>/dev/null || git reset -q --hard ;;
		3) git tag "tag$n" ;;
		esac
	done
	for _ in 1 2 3 4; do pick; write "$picked"; edit; r 2; if [ $R = 0 ]; then git add -A; fi; done
	edit; edit; write untracked/u
}
for seed in 1 2 3 4 5 6; do eval "s_random_$seed() { random $seed; }"; done

# What git's own tests set up.
s_suite_ignored_dir() { base; echo docs > .gitignore; : > docs/new; mkdir docs/inner; : > docs/inner/x; }
s_suite_nested_tags() { base; git tag -a -m one inner; git tag -a -m two nested inner 2>/dev/null; git tag -d inner >/dev/null; git checkout -q --detach nested; }
s_suite_symref() { base; git branch one; git symbolic-ref refs/heads/alias refs/heads/one; git symbolic-ref refs/remotes/origin/HEAD refs/heads/one; }
s_suite_no_log() { base; git config core.logAllRefUpdates false; git checkout -q -b quiet; git checkout -q main; }
s_suite_replaced() { base; git replace "$(git rev-parse HEAD)" "$(git rev-parse HEAD~1)"; }
s_suite_link_and_map() { base; ln -s docs link; echo 'Mapped < test@example.org >' > map; git config mailmap.file map; }

# What matters to writing alone.
. "$(dirname "$0")/states_writes.sh"

case "$1" in
--list) declare -F | sed -n 's/^declare -f s_//p'; exit 0 ;;
--list-writes) declare -F | sed -n 's/^declare -f w_//p'; exit 0 ;;
esac
state=s_$1
declare -F "$state" >/dev/null || state=w_$1
mkdir -p "$2" && cd "$2"
"$state"
