#!/bin/sh
# The tests' own PostgreSQL server: a folder below /tmp, a port of 127.0.0.1, every user trusted, nothing synced to the disk.
#   tests/postgres.sh COMMAND…     runs COMMAND beside a new server, then stops the server and removes its folder
#   tests/postgres.sh --stop MODE  stops that server, "fast" or "immediate", and keeps its data; for COMMAND
#   tests/postgres.sh --start      starts it again on the same port; for COMMAND
# COMMAND finds the server by TEST_PG_PORT and TEST_PG_FOLDER, which holds its socket. Root runs the server as the user postgres.
set -eu

# The newest version. Elsewhere than in Debian, initdb and pg_ctl are in PATH.
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
[ -x "$bin/initdb" ] && PATH=$bin:$PATH
as_user=
[ "$(id -u)" -ne 0 ] || as_user='setpriv --reuid=postgres --regid=postgres --clear-groups'

run() { (cd "$TEST_PG_FOLDER" && exec env -i PATH="$PATH" LC_ALL=C TZ=UTC $as_user "$@" >>control.log 2>&1 </dev/null); }
start() {
    run pg_ctl start -D data -l server.log -o "-p $TEST_PG_PORT -h 127.0.0.1 -k $TEST_PG_FOLDER -F -c full_page_writes=off \
        -c max_connections=100"
}
stop() { run pg_ctl stop -D data -m "$1"; }
give_up() { cat "$TEST_PG_FOLDER"/*log >&2; echo "${0##*/}: the server did not $1" >&2; exit 1; }

case ${1:-} in
--start) start || give_up start; exit ;;
--stop) stop "$2" || give_up stop; exit ;;
esac

TEST_PG_FOLDER=$(mktemp -d /tmp/reconciled-pg-XXXXXX)
trap 'stop immediate || :; rm -rf "$TEST_PG_FOLDER"' EXIT
trap 'exit 1' HUP INT TERM
[ -z "$as_user" ] || chown postgres: "$TEST_PG_FOLDER"
run initdb -D data --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync --no-instructions || give_up start
# Below the ports that the kernel hands out, so that no client's connection takes it while the server is down.
for TEST_PG_PORT in $(shuf -i 10240-32000 -n 5) none; do
    [ "$TEST_PG_PORT" != none ] || give_up start
    start && break
done
export TEST_PG_FOLDER TEST_PG_PORT
status=0
"$@" || status=$?
exit $status
