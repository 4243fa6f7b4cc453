#!/bin/sh
# Runs test programs (cmocka) and, after "--pytest", pytest folders; shows the output of what fails, and ends with the one line
# "N passed, N failed". Exit status 1 if anything failed.
#   tests/run.sh PROGRAM… [--pytest FOLDER…]
# WRAP names a command to run every program under (valgrind); LIMIT is how many seconds one program may take.
set -u
# What is not a unit test finds its databases on one server, which lives as long as this run.
case " $*" in
*/integration/* | *--pytest*) [ -n "${TEST_PG_PORT:-}" ] || exec tests/postgres.sh "$0" "$@" ;;
esac
passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out" "$out.status"' EXIT

count() { # count WORD: the number in cmocka's line "[  WORD  ] N test(s)"
    sed -n "s/^\[  $1  \] \([0-9]*\) test(s).*/\1/p" "$out" | awk '{ n += $1 } END { print n + 0 }'
}

while [ $# -gt 0 ] && [ "$1" != --pytest ]; do
    timeout ${LIMIT:-300} ${WRAP:-} "$1" >"$out" 2>&1
    status=$?
    good=$(count PASSED) bad=$(count FAILED)
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ "$bad" -ne 0 ]; then
        echo "FAILED ${1##*/} (exit $status)"
        grep -v '^\[       OK \]\|^\[ RUN  ' "$out" | tail -60
    else
        echo "ok     ${1##*/} ($good)"
    fi
    passed=$((passed + good)) failed=$((failed + bad))
    shift
done
if [ $# -gt 1 ]; then
    shift
    # A line for each file, with a dot for each test; then why any was skipped.
    { /usr/bin/python3 -m pytest --no-header -rs -o console_output_style=classic -p no:cacheprovider "$@" 2>&1; echo $? >"$out.status"; } |
        tee "$out"
    status=$(cat "$out.status")
    good=$(sed -n 's/.*\b\([0-9][0-9]*\) passed.*/\1/p' "$out" | tail -1)
    bad=$(sed -n 's/.*\b\([0-9][0-9]*\) failed.*/\1/p' "$out" | tail -1)
    broken=$(sed -n 's/.*\b\([0-9][0-9]*\) error.*/\1/p' "$out" | tail -1)
    bad=$((${bad:-0} + ${broken:-0}))
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    echo "pytest $* (${good:-0} passed, $bad failed)"
    passed=$((passed + ${good:-0})) failed=$((failed + bad))
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
