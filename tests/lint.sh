#!/bin/sh
# The tree against its own rules: format, layering, banned functions, headers that stand alone, and what .clang-tidy
# names. One file at a time, on all cores; what clang-tidy finds in a file must not depend on the file before it.
#   CLANG     the version of clang-format and clang-tidy
#   PACKAGES  what the tests may take their programs from
set -u
bad=0
complain() { printf '%s\n' "$1"; bad=1; }
step() { printf '  %-5s %s\n' LINT "$1"; }

step "format"
sources=$(git ls-files '*.c' '*.h')
unformatted=$(clang-format-$CLANG --dry-run $sources 2>&1 | grep -c 'warning:')
[ "$unformatted" -eq 0 ] || complain "clang-format: $unformatted places are not formatted (run: make format)"

step "layering, banned words"
found=$(/usr/bin/python3 tests/includes.py 2>&1)
[ -z "$found" ] || complain "layering:
$found"
crowded=$(git ls-files 'clients/*.[ch]' 'reconcile/*.[ch]' 'handlers/*.[ch]' 'server/*.[ch]' | sed 's|/[^/]*$||' | sort | uniq -c |
    awk '$1 > 20 { print $2 ": " $1 }')
[ -z "$crowded" ] || complain "folders with more than 20 sources:
$crowded"
found=$(git grep -nE '#include *<(microhttpd|libpq-fe|curl/curl|sqlite3)' -- reconcile handlers)
[ -z "$found" ] || complain "the domain includes what it must not know:
$found"

found=$(git grep -n 'ORCH_' -- 'clients/*.[ch]')
[ -z "$found" ] || complain "clients/ names a setting, which its caller does:
$found"
found=$(git grep -nE '/api/v1|"api"|/bot|Authorization' -- ':(glob)server/*.c')
[ -z "$found" ] || complain "server/ builds a request to an upstream, which the upstream's client does:
$found"
found=$(git grep -nE '\b(atoi|atol|strtol|strtoul|sscanf|strcpy|strcat|sprintf|vsprintf|strtok|gets)\(' -- '*.c' '*.h';
    git grep -nE '\b(system|popen)\(' -- clients reconcile handlers server)
[ -z "$found" ] || complain "banned functions:
$found"
found=$(git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- '*.c' '*.h' '*.py' '*.sh' Makefile | grep -v '^tests/lint.sh')
[ -z "$found" ] || complain "left for later:
$found"

step "plain words"
found=$(/usr/bin/python3 tests/words.py 2>&1)
[ -z "$found" ] || complain "words that the project's English does without:
$found"

step "programs that are named by their whole path"
found=$(/usr/bin/python3 tests/listed.py --whole-paths $PACKAGES 2>&1)
[ -z "$found" ] || complain "of no listed package:
$found"

step "headers"
for header in $(git ls-files '*.h'); do
    printf '#include "%s"\n' "$header" |
        gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. $(pkg-config --cflags libmicrohttpd jansson libpq) -fsyntax-only -x c - ||
        complain "$header does not stand alone"
done

step "clang-tidy"
flags="-std=gnu17 -D_GNU_SOURCE -DRECONCILED_VERSION=\"\" -I. $(pkg-config --cflags \
    libmicrohttpd libcurl jansson libpq uuid sqlite3 libcrypto cmocka)"
# What was found clean is not analysed again until it, or something that it includes, is another.
kept=build/clang-tidy
version=$(clang-tidy-$CLANG --version)
export flags kept version CLANG
mkdir -p $kept
analyse='
    key=$({ echo "$version"; cat .clang-tidy; gcc -E -C $flags "$1"; } | sha256sum | cut -c 1-64)
    [ -e $kept/$key ] && exit
    found=$(clang-tidy-$CLANG --quiet "$1" -- $flags 2>/dev/null)
    [ -z "$found" ] && touch $kept/$key || printf "%s\n" "$found"'
found=$(git ls-files '*.c' | xargs -P "$(nproc)" -n 1 sh -c "$analyse" sh)
[ -z "$found" ] || complain "clang-tidy:
$found"
exit $bad
