#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Real programs on the heap of libstoa-malloc.so.

        run.py LIBRARY [--times N] [--jobs N] [NAME...]

Each run is made plainly, then with the library preloaded.  Its output and status
must be the same, and the library must have said at the end of a process that it was
there.  One of them is hammer.c (STOA_HAMMER says where it is).  As many as there
are processors, and one, run beside each other, each from a process of its own that
counts what its children use.  Of N times the fastest counts; the ratio of the two is
printed and never judged, of processor time, since others use the machine as well.
A program that is not installed is said (script/bootstrap installs them all), and is
a failure.

One line a run: `ok malloc/NAME (ratio, seconds)` or `FAILED malloc/NAME: why`.
"""
import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# name, the program it needs, what bash does in an empty folder; $T: the texts
# (prepare), $R: this tree, $PY: the Python that runs this.
RUNS = []


def run(name, needs, script):
    RUNS.append((name, needs, script))


# The longest first: the short ones fill the time that is left.
run("hammer", os.environ.get("STOA_HAMMER", "malloc-hammer"), '"$STOA_HAMMER"')
run("python-objects", "", r"""
"$PY" - <<'END'
import hashlib, json, random
random.seed(1)
rows = [{"id": i, "name": "n%d" % random.randrange(10**9),
         "tags": [str(random.random()) for _ in range(i % 7)]} for i in range(12000)]
text = json.dumps(rows)
back = json.loads(text)
back.sort(key=lambda r: r["name"])
names = {}
for r in back:
    names.setdefault(r["name"][:3], []).append(r["id"])
print(hashlib.sha256(repr(sorted(names.items())).encode()).hexdigest())
END
""")
run("python-threads", "", r"""
"$PY" - <<'END'
import queue, threading
todo, done = queue.Queue(64), queue.Queue()
def work():
    while (item := todo.get()) is not None:
        done.put(sum(len(s) for s in [str(i) * (i % 50) for i in range(item, item + 50)]))
for turn in range(4):
    threads = [threading.Thread(target=work) for _ in range(24)]
    for t in threads: t.start()
    for i in range(500): todo.put(i)
    for t in threads: todo.put(None)
    for t in threads: t.join()
print(sum(done.get() for _ in range(done.qsize())))
END
""")
run("python-fork", "", r"""
"$PY" - <<'END'
import multiprocessing, threading
kept = {i: "kept %d" % i for i in range(20000)}
def work(n):
    mine = {i: str(i) * 3 for i in range(2000)}
    for i in range(0, 20000, 7): kept.pop(i, None)
    return n, len(mine) + len(kept), kept[n * 7 + 1]
stop = threading.Event()
def noise():
    while not stop.is_set(): [bytes(i) for i in range(300)]
noisy = [threading.Thread(target=noise) for _ in range(3)]
for t in noisy: t.start()
with multiprocessing.get_context("fork").Pool(4, maxtasksperchild=2) as pool:
    print(pool.map(work, range(10), 1))
stop.set()
for t in noisy: t.join()
END
""")
run("python-parse", "", r"""
"$PY" - <<'END'
import ast, hashlib, os
for name in "argparse", "ast":
    text = open(os.path.join(os.path.dirname(os.__file__), name + ".py")).read()
    tree = ast.parse(text)
    compile(tree, name, "exec")
    print(name, hashlib.sha256(ast.unparse(tree).encode()).hexdigest())
END
""")
run("sqlite3-join", "sqlite3", r"""
sqlite3 :memory: <<'END'
create table a(id integer primary key, k integer, t text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into a select i, (i * 7919) % 1009, printf('%08d-%d', i * 31 % 65537, i) from n;
create index ak on a(k); create index att on a(t);
select count(*), sum(x.id), max(y.t) from a x join a y on x.k = y.k where x.id < 600;
select k, count(*), min(t) from a group by k order by 3 limit 5;
delete from a where k % 3 = 0; select count(*), sum(id) from a;
END
""")
run("sqlite3-file", "sqlite3", r"""
sqlite3 it.db <<'END'
pragma journal_mode = wal; pragma synchronous = off;
create table w(word text, n integer);
create virtual table f using fts5(body);
.mode list
with recursive n(i) as (select 1 union all select i + 1 from n where i < 8000)
insert into f select printf('word%d and word%d near %d', i % 97, i % 89, i) from n;
select count(*) from f where f match 'word3 and word5';
insert into w select body, rowid from f; update w set word = upper(word) || n;
vacuum; pragma integrity_check; select count(*), max(word) from w;
END
""")
run("git-history", "git", r"""
git init -q -b main .
for i in $(seq 6); do
    mkdir -p d$i
    for j in $(seq 10); do head -c $((i * j * 20)) "$T/words" > d$i/f$j; done
    git add -A && git commit -q -m "step $i"
    head -n $((200 + i)) "$T/words" > changed
done
git log -p --stat | sha256sum; git rev-list --all --objects | sort | sha256sum
git blame HEAD -- changed | sha256sum; git diff HEAD~5 | sha256sum
""")
run("git-pack", "git", r"""
git init -q -b main .
for i in $(seq 4); do
    for j in $(seq 20); do tail -n $((i * j * 3)) "$T/words" > f$j; done
    git add -A && git commit -q -m "step $i"
done
git repack -q -adf --threads=2 && git fsck --full --strict
git clone -q --bare . copy.git && git -C copy.git rev-parse main
git -C copy.git cat-file --batch-check --batch-all-objects | sort | sha256sum
""")
run("gcc", "gcc", r"""
gcc -O2 -S -D_GNU_SOURCE -I"$R/src" -I"$R/include" "$R/src/heap/run.c" -o - | sha256sum
gcc -O2 -fanalyzer -Wall -S "$T/small.c" -o - 2>&1 | sha256sum
""")
run("g++", "g++", r"""
g++ -std=c++17 -O1 -S "$T/templates.cc" -o - | sha256sum
""")
run("link", "ld", r"""
gcc -g -O1 "$T/small.c" -o small -Wl,--gc-sections && ./small
gcc -flto -O2 "$T/small.c" -o small2 && ./small2
""")
run("clang", "clang", r"""
clang -O2 -S -D_GNU_SOURCE -I"$R/src" -I"$R/include" "$R/src/heap/run.c" -o - | sha256sum
""")
run("perl-hashes", "perl", r"""
PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl -e '
srand 1; my %h; for my $i (1..120000) { push @{$h{$i % 3001}}, "v" . ($i * 7919 % 100003) }
my $n = 0; for my $k (sort { $a <=> $b } keys %h) { $n += length join ",", sort @{$h{$k}} }
my @parts = map { { id => $_, text => "x" x ($_ % 100) } } 1..20000;
print "$n ", scalar(grep { length($_->{text}) > 50 } @parts), "\n"; '
""")
run("perl-text", "perl", r"""
perl -ne 'for (/\w+/g) { $n{lc $_}++; $s .= substr $_, 0, 1 } END {
print join(" ", map { "$_=$n{$_}" } (sort { $n{$b} <=> $n{$a} || $a cmp $b } keys %n)[0..9]), "\n";
$s =~ s/([aeiou])/<$1>/g; print length $s, "\n" }' "$T/words"
""")
run("bash", "bash", r"""
declare -A n; a=()
while read -r w rest; do n[${w:0:2}]=$((${n[${w:0:2}]:-0} + 1)); a+=("$rest"); done < <(head -n 5000 "$T/words")
for k in "${!n[@]}"; do echo "$k ${n[$k]}"; done | sort | sha256sum
for i in $(seq 30); do x=$(echo "${a[i]}" | tr a-z A-Z); y="${x//E/e}$y"; done
echo "${#y} ${#a[@]}"; f() { [ "$1" -le 0 ] || { local z="$1$z"; f $(($1 - 1)); }; }; f 300; echo done
""")
run("awk", "awk", r"""
awk '{ for (i = 1; i <= NF; i++) { n[$i]++; l[NR % 100] = l[NR % 100] " " substr($i, 1, 2) } }
END { for (w in n) { c++; t += n[w] } for (k in l) s += length(l[k]); print c, t, s }' "$T/words"
""")
run("sort", "sort", r"""
for i in 1 2 3 4; do cat "$T/words"; done | sort --parallel=4 -S 8M -k 2 | sha256sum
sort -u "$T/words" | sort -R --random-source="$T/words" | sha256sum
""")
run("tar", "tar", r"""
tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$R" -czf it.tgz src doc
tar -tzf it.tgz | sha256sum; mkdir out; tar -C out -xzf it.tgz; find out -type f | sort | xargs cat | sha256sum
""")
run("gzip-xz", "xz", r"""
gzip -9nc "$T/words" | tee it.gz | sha256sum; gzip -dc it.gz | sha256sum
cat "$T/words" "$T/words" | xz -T2 --block-size=100KiB -3c | tee it.xz | sha256sum; xz -T2 -dc it.xz | sha256sum
""")
run("cmake", "cmake", r"""
cat > it.cmake <<'END'
file(STRINGS "$ENV{T}/words" lines LIMIT_COUNT 1500)
foreach(line ${lines})
    string(REGEX REPLACE "([a-z]+) ([a-z]+)" "\\2-\\1" line "${line}")
    string(SHA256 sum "${line}")
    list(APPEND sums ${sum})
    string(JSON json SET "{}" "k" "\"${sum}\"")
endforeach()
list(SORT sums)
list(REMOVE_DUPLICATES sums)
list(LENGTH sums n)
string(SHA256 all "${sums}")
message("${n} ${all} ${json}")
END
cmake -P it.cmake 2>&1
mkdir p; printf 'cmake_minimum_required(VERSION 3.20)\nproject(p NONE)\nforeach(i RANGE 200)\nadd_custom_target(t${i} ALL COMMAND true)\nendforeach()\n' > p/CMakeLists.txt
cmake -G Ninja -S p -B b > /dev/null && sha256sum < b/build.ninja
""")
run("ninja", "ninja", r"""
{ printf 'rule r\n command = cat $in > $out\n'; echo 'build o0: r in'
for i in $(seq 60); do echo "build o$i: r o$((i / 2)) o$((i - 1))"; done | sed 's/ o\([0-9]*\) o\([0-9]*\)$/ o\1 | o\2/'; } > build.ninja
for i in $(seq 2000); do echo "build x$i: r in"; done >> build.ninja; echo 'default o60' >> build.ninja
echo hello > in; ninja -j 4 | tail -n 1 | sed 's/[0-9.]*s//'; cat o60; ninja -t targets all | sha256sum
""")
run("make", "make", r"""
printf 'N := $(shell seq 1500)\nL := $(foreach i,$N,$(addsuffix .x,$(subst 1,one,$i)))\nall: $(addprefix t,$N)\n\t@echo $(words $L) $(sort $(patsubst %%.x,%%,$L)) | sha256sum\nt%%:\n\t$(info $(wordlist 1,3,$(filter %%$*,$N)))\n' > Makefile
make -j4 all | sort | sha256sum
""")
run("gdb", "gdb", r"""
gcc -g -O0 "$T/small.c" -o small
gdb -nx -batch -ex 'info line main' -ex 'ptype struct node' -ex 'info functions hash' -ex 'break hash' -ex run \
    -ex bt -ex 'print *n' -ex finish ./small 2>/dev/null | sed 's/0x[0-9a-f]*//g; s/process [0-9]*//; /thread/Id' | sha256sum
""")
run("binutils", "objdump", r"""
gcc -g -O1 -c "$T/small.c" -o small.o && objdump -dSlr small.o | sha256sum
readelf -aW --debug-dump=info small.o | sha256sum; objdump -d "$(command -v ls)" | sha256sum
nm -D "$(command -v gdb || command -v ls)" | c++filt | sha256sum
""")

SMALL = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *next; char key[32]; int count; };
static struct node *table[1024];
static unsigned hash(const char *s) { unsigned h = 5381; while (*s) h = h * 33 + (unsigned char)*s++; return h & 1023; }
static struct node *add(const char *key) {
	struct node **at = &table[hash(key)], *n;
	for (n = *at; n; n = n->next) if (!strcmp(n->key, key)) break;
	if (!n) { n = calloc(1, sizeof *n); if (!n) abort(); n->next = *at; strncpy(n->key, key, sizeof n->key - 1); *at = n; }
	n->count++;
	return n;
}
int main(void) {
	char key[32]; unsigned long sum = 0;
	for (int i = 0; i < 50000; i++) { snprintf(key, sizeof key, "k%d", i * 31 % 7001); sum += (unsigned)add(key)->count; }
	for (int i = 0; i < 1024; i++) while (table[i]) { struct node *n = table[i]; table[i] = n->next; free(n); }
	printf("%lu\n", sum);
	return 0;
}
"""
TEMPLATES = r"""
#include <map>
#include <string>
std::map<std::string, int> m;
template<int N> struct F { static constexpr int v = F<N - 1>::v + N; };
template<> struct F<0> { static constexpr int v = 0; };
int use(const std::string &s) { m[s] += F<200>::v; return static_cast<int>(m.size()); }
"""


def prepare(folder):
    """The texts that the runs read: the same every time."""
    words = []
    x = 12345
    for _ in range(9000):
        line = []
        for _ in range(8):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
            n = x >> 8
            word = ""
            while n:
                word += "etaoinshrdlu"[n % 12]
                n //= 37
            line.append(word)
        words.append(" ".join(line))
    for name, text in (("words", "\n".join(words) + "\n"), ("small.c", SMALL),
                       ("templates.cc", TEMPLATES)):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)


def once(script, texts, own, library):
    """(status, stdout, stderr, seconds, processes of the library) of one run."""
    env = {k: v for k, v in os.environ.items()
           if k == "STOA_HAMMER" or not k.startswith(("STOA_", "GIT_", "LD_", "PYTHON", "MAKE"))}
    env.update(T=texts, R=ROOT, PY=sys.executable, LC_ALL="C", HOME=own,
               PYTHONHASHSEED="0", PYTHONMALLOC="malloc", TZ="UTC", TERM="dumb",
               GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@a",
               GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@a",
               GIT_AUTHOR_DATE="1700000000 +0000", GIT_COMMITTER_DATE="1700000000 +0000")
    folder = os.path.join(own, "run")  # the same path: some outputs have it
    os.mkdir(folder)
    try:
        said = os.path.join(own, "said")
        with open(said, "w"):
            pass
        if library:
            env.update(LD_PRELOAD=library, STOA_MALLOC_STATS=said)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with open(said) as f:
            processes = f.read().count("libstoa-malloc: process ")
        return done.returncode, done.stdout, done.stderr.decode(errors="replace"), seconds, processes
    finally:
        shutil.rmtree(folder)


def judge(script, texts, own, library, times):
    """None and (plain, preloaded) seconds, or why it failed."""
    best = [None, None]
    for i in range(times):
        ours = once(script, texts, own, library) if i % 2 else None  # each is the first once
        plain = once(script, texts, own, None)
        ours = ours or once(script, texts, own, library)
        for i, one in enumerate((plain, ours)):
            best[i] = one[3] if best[i] is None else min(best[i], one[3])
        if plain[0] != 0:
            return "status %d without the library:\n%s" % (plain[0], plain[2]), best
        if not plain[1].strip():
            return "it prints nothing, so nothing is compared", best
        if ours[0] != plain[0]:
            return "status %d:\n%s" % (ours[0], ours[2][-2000:]), best
        if ours[1] != plain[1]:
            return "its output is another:\n%s\n--- plain:\n%s" % (
                ours[1].decode(errors="replace")[-800:], plain[1].decode(errors="replace")[-800:]), best
        if not ours[4]:
            return "the library was not in it", best
    return None, best


def one(job):
    """The line of one run, and its (plain, preloaded) seconds if it is right."""
    (name, needs, script), texts, library, times = job
    if needs and not shutil.which(needs):
        return "FAILED malloc/%s: %s is not installed (script/bootstrap)" % (name, needs), None
    own = os.path.join(texts, name)
    os.mkdir(own)
    try:
        why, best = judge(script, texts, own, library, times)
    except subprocess.TimeoutExpired as late:
        why, best = "not done after %d s" % late.timeout, None
    if why:
        return "FAILED malloc/%s: %s" % (name, why), None
    return "ok malloc/%s (%.2f times glibc's, %.2f s)" % (name, best[1] / max(best[0], 0.001), best[1]), best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    library = os.path.abspath(args.library)
    failed, sums = 0, [0.0, 0.0]
    with tempfile.TemporaryDirectory() as texts, multiprocessing.Pool(args.jobs) as pool:
        prepare(texts)
        jobs = [(r, texts, library, args.times) for r in RUNS if not args.names or r[0] in args.names]
        for line, best in pool.imap_unordered(one, jobs):
            print(line, flush=True)
            if best:
                sums = [a + b for a, b in zip(sums, best)]
            else:
                failed += 1
    if sums[0]:
        print("all of them: %.2f times glibc's, %.1f s" % (sums[1] / sums[0], sums[1]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
