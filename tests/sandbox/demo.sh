#!/bin/sh
# What `make demo` runs: a small believable world whose webhooks got lost, one pass, and its results.
#   OUT        where the programs are (build/release)
#   DEMO_PORT  the service's port; the sandbox takes the next one (both are picked when unset)
#   DEMO_RUN   the folder it works in, made again (demo-run)
#   DEMO_EXIT  1: stop at the end instead of staying for a look (so it does when standard input is no terminal)
# Exit status 1 if a task is not where it should be in the end.
set -eu
cd "$(dirname "$0")/../.."
out=${OUT:-build/release}
run=${DEMO_RUN:-demo-run}
db=$run/orchestrator.db
for name in $(env | sed -n 's/^\(ORCH_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); else bold='' dim='' plain=''; fi
heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# table: lines of tab-separated cells, the first the header, as aligned columns.
table() {
    /usr/bin/python3 -c '
import sys
rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
for at, row in enumerate(rows):
    print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if at == 0:
        print("  " + "  ".join("-" * width for width in widths))
'
}

plane_key=plane_api_demo plane_project=0c0ffee0-0000-4000-8000-000000000001
issue() { printf '0c0ffee0-0000-4000-8000-000000000%s' "$1"; } # issue NUMBER: its id in Plane

# ---- the two programs ----------------------------------------------------------------------------------------------

sandbox_pid='' service_pid=''
stop() {
    trap - EXIT INT TERM
    for pid in $service_pid $sandbox_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || :; done
}
trap stop EXIT
trap 'printf "\n"; stop; exit 0' INT TERM

# until_true SECONDS PID COMMAND…: tries until it succeeds; fails when the time is up or the process is gone.
until_true() {
    tries=$(($1 * 20)) pid=$2
    shift 2
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] && kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
}

first_pass_done() { curl -fs "$service/reconcile/status" | grep -q '"last_run_ts":[0-9]'; }

start_sandbox() {
    port=0
    [ -z "${DEMO_PORT:-}" ] || port=$((DEMO_PORT + 1))
    "$out/sandbox" --port "$port" >"$run/sandbox.log" 2>&1 &
    sandbox_pid=$!
    until_true 10 "$sandbox_pid" grep -q listening "$run/sandbox.log" || die "the sandbox did not start: $(cat "$run/sandbox.log")"
    sandbox=$(sed -n 's/.* on //p' "$run/sandbox.log")
}

# The first pass comes at once and finds an empty database; then there is an hour until the next one.
start_service() {
    ORCH_DATABASE_URL="sqlite:$db" "$out/reconciled" migrate
    ORCH_DATABASE_URL="sqlite:$db" ORCH_GITEA_URL="$sandbox/gitea" ORCH_HTTP_LISTEN="127.0.0.1:${DEMO_PORT:-0}" \
        ORCH_PLANE_URL="$sandbox/plane" ORCH_PLANE_API_TOKEN=$plane_key ORCH_PLANE_WORKSPACE=acme \
        ORCH_PROJECTS_JSON="[{\"repo\":\"acme/shop\",\"plane_project_id\":\"$plane_project\",\"prefix\":\"ORCH\"}]" \
        ORCH_RECONCILE_INTERVAL_S=3600 "$out/reconciled" serve >"$run/reconciled.log" 2>&1 &
    service_pid=$!
    until_true 10 "$service_pid" grep -q listening "$run/reconciled.log" || die "the service did not start: $(cat "$run/reconciled.log")"
    service=http://$(sed -n 's/.*msg=listening addr=\([^ ]*\).*/\1/p' "$run/reconciled.log")
    until_true 10 "$service_pid" first_pass_done || die "no first pass: $(tail -3 "$run/reconciled.log")"
}

# ---- the world -----------------------------------------------------------------------------------------------------

control() { # control PATH: control of the sandbox, the body from standard input
    curl -fsS -H 'Content-Type: application/json' --data-binary @- "$sandbox/sandbox/$1" >/dev/null || die "the sandbox refused $1"
}

make_plane() {
    printf '{"limit": 60, "keys": ["%s"], "webhook": {"url": "http://127.0.0.1:9/orchestrator", "lose": true},
        "projects": [{"identifier": "ORCH", "id": "%s", "name": "Shop"}]}' "$plane_key" "$plane_project" | control plane
}

make_issues() {
    /usr/bin/python3 -c '
import json, sys
project, titles = sys.argv[1], {117: "Gift cards", 118: "Loyalty points", 119: "Dark mode", 120: "Size charts", 121: "Newsletter"}
json.dump({"projects": [{"identifier": "ORCH", "id": project, "issues": [
    {"number": n, "id": f"0c0ffee0-0000-4000-8000-000000000{n}", "name": title, "state": "Todo", "state_ago": 90000}
    for n, title in titles.items()]}]}, sys.stdout)' "$plane_project" | control plane
}

make_world() {
    /usr/bin/python3 -c '
import json
def branch(name, *statuses, **more):
    return {"name": name, "statuses": [{"context": c, "state": s} for c, s in statuses], **more}
ci = [("ci/build", "pending"), ("ci/test", "pending")]
many = [(f"e2e/shard-{i:02}", "success") for i in range(60)]
json.dump({"webhook": {"url": "http://127.0.0.1:9/orchestrator", "lose": True}, "repos": [
  {"full_name": "acme/shop", "branches": [branch("main"),
    branch("feature/ORCH-101-basket", *ci), branch("feature/ORCH-103-search", *ci), branch("feature/ORCH-105-rates", *many[:-1]),
    branch("feature/ORCH-107-coupons", *ci), branch("feature/ORCH-111-wishlist", ("ci/build", "success")),
    branch("feature/ORCH-110-stock")],
   "pulls": [{"number": 41, "head": "feature/ORCH-103-search", "title": "Search by colour"},
             {"number": 44, "head": "feature/ORCH-110-stock", "title": "Stock levels"}]},
  {"full_name": "acme/billing", "branches": [branch("main"),
    branch("feature/ORCH-102-invoices"), branch("feature/ORCH-106-refunds", ("ci/build", "failure"), ("ci/lint", "success")),
    branch("feature/ORCH-109-ledger", ("e2e/slow", "failure"), *many), branch("feature/ORCH-112-dunning", ("ci/build", "success")),
    branch("feature/ORCH-115-vat", ("ci/build", "success"))],
   "pulls": [{"number": 17, "head": "feature/ORCH-102-invoices", "title": "Invoices as PDF"}]},
  {"full_name": "acme/platform", "branches": [branch("main"),
    branch("feature/ORCH-104-events"), branch("feature/ORCH-108-cache"), branch("feature/ORCH-113-audit"),
    branch("feature/ORCH-116-queue", files={"docs/work-items/ORCH-116/01-brief.md": "# Queue"})]},
  {"full_name": "acme/vault", "hidden": True}]}, __import__("sys").stdout)' | control world
}

# What people and CI did unnoticed: every one of these webhooks is lost.
lose_webhooks() {
    control change <<-'JSON'
	[{"repo": "acme/shop", "do": "status", "branch": "feature/ORCH-101-basket", "context": "ci/build", "state": "success"},
	 {"repo": "acme/shop", "do": "status", "branch": "feature/ORCH-101-basket", "context": "ci/test", "state": "success"},
	 {"repo": "acme/billing", "do": "approve", "number": 17, "user": "ann"},
	 {"repo": "acme/shop", "do": "merge", "number": 41, "user": "ann", "delete_branch": true},
	 {"repo": "acme/platform", "do": "push", "branch": "feature/ORCH-104-events",
	  "files": {"docs/work-items/ORCH-104/06-adr/0001-outbox.md": "# Events leave through an outbox"}},
	 {"repo": "acme/shop", "do": "status", "branch": "feature/ORCH-105-rates", "context": "e2e/shard-59", "state": "success"},
	 {"repo": "acme/shop", "do": "reject", "number": 44, "user": "bob"}]
	JSON
    control plane/change <<-'JSON'
	[{"issue": "ORCH-117", "do": "state", "state": "In Progress", "ago": 3000},
	 {"issue": "ORCH-118", "do": "state", "state": "Approved", "ago": 2700},
	 {"issue": "ORCH-119", "do": "state", "state": "Rejected", "ago": 2400},
	 {"issue": "ORCH-120", "do": "state", "state": "In Progress", "ago": 120}]
	JSON
}

lost_webhooks() {
    { curl -fs "$sandbox/sandbox/webhooks"; curl -fs "$sandbox/sandbox/plane/counters"; } |
        grep -o '"lost":[0-9]*' | awk -F: '{ n += $2 } END { print n }'
}

seed_tasks() {
    sqlite3 "$db" <<-SQL
	INSERT INTO tasks (plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at)
	SELECT 'demo-' || w, 'ORCH-' || w, t, r, b, s, datetime('now', '-3 days'), datetime('now', '-' || m || ' minutes') FROM (
	SELECT 101 w, 'Basket keeps its items' t, 'acme/shop' r, 'feature/ORCH-101-basket' b, 'development' s, 190 m UNION ALL
	SELECT 102, 'Invoices as PDF', 'acme/billing', 'feature/ORCH-102-invoices', 'review', 170 UNION ALL
	SELECT 103, 'Search by colour', 'acme/shop', 'feature/ORCH-103-search', 'deploy', 150 UNION ALL
	SELECT 104, 'Events instead of polling', 'acme/platform', 'feature/ORCH-104-events', 'architecture', 130 UNION ALL
	SELECT 105, 'Rates of other carriers', 'acme/shop', 'feature/ORCH-105-rates', 'testing', 125 UNION ALL
	SELECT 106, 'Refunds in part', 'acme/billing', 'feature/ORCH-106-refunds', 'development', 120 UNION ALL
	SELECT 107, 'Coupons', 'acme/shop', 'feature/ORCH-107-coupons', 'development', 45 UNION ALL
	SELECT 108, 'Cache of prices', 'acme/platform', 'feature/ORCH-108-cache', 'development', 40 UNION ALL
	SELECT 109, 'Ledger export', 'acme/billing', 'feature/ORCH-109-ledger', 'testing', 35 UNION ALL
	SELECT 110, 'Stock levels', 'acme/shop', 'feature/ORCH-110-stock', 'review', 33 UNION ALL
	SELECT 111, 'Wish list', 'acme/shop', 'feature/ORCH-111-wishlist', 'development', 2 UNION ALL
	SELECT 112, 'Dunning letters', 'acme/billing', 'feature/ORCH-112-dunning', 'development', 60 UNION ALL
	SELECT 113, 'Audit trail', 'acme/platform', 'feature/ORCH-113-audit', 'analysis', 600 UNION ALL
	SELECT 114, 'Keys in the vault', 'acme/vault', 'feature/ORCH-114-keys', 'development', 80 UNION ALL
	SELECT 115, 'VAT of other countries', 'acme/billing', 'feature/ORCH-115-vat', 'on-hold', 900 UNION ALL
	SELECT 116, 'Queue with priorities', 'acme/platform', 'feature/ORCH-116-queue', 'architecture', 31 UNION ALL
	SELECT 118, 'Loyalty points', 'acme/shop', 'feature/ORCH-118-loyalty-points', 'analysis', 240 UNION ALL
	SELECT 119, 'Dark mode', 'acme/shop', 'feature/ORCH-119-dark-mode', 'analysis', 200);
	UPDATE tasks SET plane_id = '$(issue 118)' WHERE work_item_id = 'ORCH-118';
	UPDATE tasks SET plane_id = '$(issue 119)' WHERE work_item_id = 'ORCH-119';
	INSERT INTO jobs (task_id, agent, status) SELECT id, 'developer', 'running' FROM tasks WHERE work_item_id = 'ORCH-112';
	SQL
}

show_tasks() {
    sqlite3 -tabs -header "$db" "
        SELECT work_item_id AS task, t.repo, t.stage, ((strftime('%s', 'now') - strftime('%s', t.updated_at)) / 60) || ' min' AS rests,
               coalesce(group_concat(j.agent || ' ' || j.status), '') AS job, t.title
        FROM tasks t LEFT JOIN jobs j ON j.task_id = t.id AND j.status IN ('queued', 'running')
        GROUP BY t.id ORDER BY work_item_id" | table
}

show_issues() {
    curl -fsS -H "X-Api-Key: $plane_key" "$sandbox/plane/api/v1/workspaces/acme/projects/$plane_project/work-items/?expand=state" |
        /usr/bin/python3 -c '
import datetime, json, sys
print("issue\tstate\ttouched\ttitle")
now = datetime.datetime.now(datetime.timezone.utc)
for issue in sorted(json.load(sys.stdin)["results"], key=lambda issue: issue["sequence_id"]):
    at = datetime.datetime.fromisoformat(issue["updated_at"].replace("Z", "+00:00"))
    minutes = (now - at).total_seconds() // 60
    print("ORCH-%d\t%s\t%d min ago\t%s" % (issue["sequence_id"], issue["state"]["name"], minutes, issue["name"]))
' | table
}

# ---- a pass --------------------------------------------------------------------------------------------------------

force_pass() { # force_pass FILE
    curl -sS -X POST -H 'Content-Type: application/json' -d '{}' "$service/reconcile/run" >"$1" || die "the pass was not answered"
}

show_report() {
    /usr/bin/python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
print("task\tstage\tto\tverdict\toutcome\treason")
for item in sorted(report["items"], key=lambda item: item["work_item_id"]):
    reason = item["reason"] if len(item["reason"]) <= 72 else item["reason"][:71] + "…"
    print("\t".join([item["work_item_id"], item["stage"] or "", item["to_stage"] or "", item["verdict"], item["outcome"], reason]))
' "$1" | table
    /usr/bin/python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
counts = "  ".join(f"{name} {n}" for side in ("gate", "plane") for name, n in report[side].items() if n and name not in ("projects", "issues"))
print("\n  pass %s: %s  (%d ms)" % (report["id"][:8], counts or "nothing to do", report["duration_ms"]))' "$1"
}

expected='ORCH-101 review reviewer
ORCH-102 testing tester
ORCH-103 done -
ORCH-104 development developer
ORCH-105 deploy deployer
ORCH-106 development -
ORCH-107 development -
ORCH-108 development -
ORCH-109 testing -
ORCH-110 review -
ORCH-111 development -
ORCH-112 development developer
ORCH-113 analysis -
ORCH-114 development -
ORCH-115 on-hold -
ORCH-116 architecture -
ORCH-117 analysis analyst
ORCH-118 architecture architect
ORCH-119 analysis analyst'

compare() { # what differs from what was expected goes to standard output
    sqlite3 -separator ' ' "$db" "
        SELECT work_item_id, t.stage, coalesce(group_concat(j.agent), '-') FROM tasks t
        LEFT JOIN jobs j ON j.task_id = t.id AND j.status IN ('queued', 'running') GROUP BY t.id ORDER BY work_item_id" >"$run/found"
    printf '%s\n' "$expected" | diff - "$run/found"
}

# ---- the show ------------------------------------------------------------------------------------------------------

[ -x "$out/reconciled" ] && [ -x "$out/sandbox" ] || die "build first: make demo"
rm -rf "$run"
mkdir "$run"
start_sandbox
make_plane
start_service
make_world
make_issues
lose_webhooks
seed_tasks

heading "The orchestrator's tasks. Meanwhile CI went green, people approved, merged and pushed; $(lost_webhooks) webhooks were lost."
show_tasks
heading "And Plane's issues of acme/shop: one was started, one approved, one rejected, and no webhook arrived."
show_issues
heading "One pass: POST /reconcile/run"
force_pass "$run/report.json"
show_report "$run/report.json"
printf '  not looked at: ORCH-111 (touched 2 min ago), ORCH-112 (a job is running), ORCH-113 (waits for a person), ORCH-115 (unknown stage),\n                 ORCH-120 (started 2 min ago)\n'
heading "The tasks after it: green ones moved, each with its next job; all others are as they were."
show_tasks
heading "A second pass moves nothing."
force_pass "$run/report2.json"
show_report "$run/report2.json" | tail -1

if difference=$(compare) && ! grep -Eq '"(advanced|started|approved|rejected)":[1-9]' "$run/report2.json"; then
    heading "As expected: 8 healed, 12 left alone."
    code=0
else
    heading "NOT as expected (< expected, > found):"
    printf '%s\n' "$difference"
    code=1
fi
if [ "${DEMO_EXIT:-}" = 1 ] || [ ! -t 0 ]; then
    stop
    exit $code
fi

curl -fsS -o "$run/config.json" -X PUT -H 'Content-Type: application/json' \
    -d '{"interval_s":15,"by":"demo","reason":"for a look"}' "$service/reconcile/config"
heading "Both keep running for a look; Ctrl-C stops them."
cat <<END
  service   $service            $dim(log: $run/reconciled.log)$plain
  sandbox   $sandbox            $dim(Gitea under /gitea, Plane under /plane, control under /sandbox)$plain
  database  $db

  curl -s $service/reconcile/status
  curl -s $service/reconcile/config
  curl -s $service/reconcile/runs
  curl -s -X POST -H 'Content-Type: application/json' -d '{"dry_run":true}' $service/reconcile/run

  ${dim}CI of ORCH-106 goes green, no webhook arrives; the next pass heals it:$plain
  curl -s -d '{"repo":"acme/billing","do":"status","branch":"feature/ORCH-106-refunds","context":"ci/build","state":"success"}' $sandbox/sandbox/change
  curl -s -X POST $service/reconcile/run

  ${dim}ORCH-121 is started in Plane, no webhook arrives; the next pass finds it:$plain
  curl -s -d '{"issue":"ORCH-121","do":"state","state":"In Progress","ago":900}' $sandbox/sandbox/plane/change
  curl -s -X POST $service/reconcile/run

  ${dim}Gitea breaks, and is whole again:$plain
  curl -s -d '{"path":"/gitea","kind":"status","status":502,"html":"<h1>Bad Gateway</h1>"}' $sandbox/sandbox/faults
  curl -s -X DELETE $sandbox/sandbox/faults
END
wait "$service_pid" || :
