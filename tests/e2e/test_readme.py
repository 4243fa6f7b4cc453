"""What README.md shows is so: its curl lines, its command lines, its SQL.

A block of curl lines is run as one script by sh; a number at the end of a line, after #, is the status that is promised, else
it is any 2xx. Behind a command line it is the exit status.
"""
import http.server
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import threading

import pytest
import yaml

from conftest import RECONCILED, ROOT, eventually, help_of_commands, reconciled, seed
from plane_world import Plane
from plane_world import outcomes as plane_outcomes

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
DAY = README.split("### An operator's day", 1)[1].split("\n### ", 1)[0]  # test_day runs it
CURLS = [text for kind, text in BLOCKS if kind == "sh" and "curl " in text and "https://" not in text and text not in DAY]


def section(title):
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def logical_lines(script):
    """(line, promised number or None) of each line, where a backslash at its end continues it."""
    for line in script.replace("\\\n", " ").splitlines():
        promised = re.search(r"\s# (\d+)\b.*$", line)
        yield re.sub(r"\s+# .*$", "", line), int(promised.group(1)) if promised else None


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


# ---- curl ----

SHIM = """#!/bin/sh
# curl, at the service of the test, with its status noted.
n=$#
while [ $n -gt 0 ]; do
    case $1 in localhost:8787*) set -- "$@" "$SERVICE${1#localhost:8787}" ;; *) set -- "$@" "$1" ;; esac
    shift
    n=$((n - 1))
done
exec "$CURL" "$@" -w '%{stderr}%{http_code}\\n' 2>>"$STATUSES"
"""


def shim(folder):
    folder.mkdir()
    program = folder / "curl"
    program.write_text(SHIM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@on_sqlite
@pytest.mark.parametrize("script", CURLS, ids=range(len(CURLS)))
def test_every_curl_line_is_answered_as_it_says(script, database, sandbox, service, tmp_path):
    seed(database, {"id": 7, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [{"name": "b7", "sha": "8997fa9454530e4122c3d087b5238cdc2f351566"}]})
    statuses = tmp_path / "statuses"
    environment = {"PATH": f"{shim(tmp_path / 'bin')}:{os.environ['PATH']}", "CURL": shutil.which("curl"),
                   "SERVICE": service.address, "STATUSES": str(statuses)}
    done = subprocess.run(["sh", "-eu"], input="ORCH_API_TOKEN=\n" + script, env=environment, cwd=tmp_path, text=True,
                          capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    asked = [(line, promised) for line, promised in logical_lines(script) if "curl " in line]
    answered = [int(status) for status in statuses.read_text().split()]
    assert len(answered) == len(asked)
    for (line, promised), status in zip(asked, answered):
        assert status == promised if promised else 200 <= status < 300, (line, status)


def test_every_endpoint_has_a_curl_line():
    document = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))
    text = "".join(CURLS).replace("/$id", "/{id}").replace("holds/task/7", "holds/{scope}").replace("/7", "/{id}")
    for path, item in document["paths"].items():
        assert re.search(rf"localhost:8787{re.escape(path)}['?\s]", text), path
    assert "-X PUT" in text and "-X POST" in text


# ---- the command line ----

COMMANDS = list(logical_lines(re.search(r"```sh\n(.*?)```", section("Command line"), re.S).group(1)))


@on_sqlite
@pytest.mark.parametrize("line,promised", COMMANDS, ids=[line for line, _ in COMMANDS])
def test_every_command_line_exits_as_it_says(line, promised, database, sandbox, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/reconciled").symlink_to(RECONCILED)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "ORCH_DATABASE_URL": database.url,
                   "ORCH_GITEA_URL": sandbox.url + "/gitea", "ORCH_HTTP_LISTEN": "127.0.0.1:0"}
    subprocess.run([RECONCILED, "migrate"], env=environment, check=True, capture_output=True, timeout=60)
    seed(database, {"id": 7, "stage": "development"})  # the task that is named
    log = tmp_path / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen(["sh", "-c", f"exec env {line}"], env=environment, stdout=out, stderr=out)
    if line.endswith(" serve") and promised == 0:
        eventually(lambda: b"msg=listening" in log.read_bytes(), "the service")
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == promised, log.read_text()


def test_every_exit_status_and_command_of_the_usage_is_shown():
    assert {promised for _, promised in COMMANDS} == {0, 1, 2, 3, 4}
    commands = help_of_commands()
    words = list(commands)
    options = re.findall(r"--[a-z-]+", "".join(commands.values()))
    shown = section("Command line")
    assert words and not [word for word in words + options if word not in shown]


# ---- SQL ----

FOREIGN = {
    "sqlite": """
        CREATE TABLE work_items (id INTEGER PRIMARY KEY, external_id TEXT UNIQUE, key TEXT, summary TEXT, repository TEXT,
            branch_name TEXT, phase TEXT, created TEXT, modified TEXT);
        CREATE TABLE work_queue (id INTEGER PRIMARY KEY, item_id INTEGER, worker TEXT, state TEXT, created TEXT,
            modified TEXT)""",
    "postgresql": """
        CREATE TABLE work_items (id serial PRIMARY KEY, external_id text UNIQUE, key text, summary text, repository text,
            branch_name text, phase text, created timestamptz, modified timestamptz);
        CREATE TABLE work_queue (id serial PRIMARY KEY, item_id integer, worker text, state text, created timestamptz,
            modified timestamptz)""",
}
NAMES = {"work_items": "tasks", "work_queue": "jobs", "external_id": "plane_id", "item_id": "task_id", "key": "work_item_id",
         "summary": "title", "repository": "repo", "branch_name": "branch", "phase": "stage", "worker": "agent", "state": "status",
         "created": "created_at", "modified": "updated_at"}
NAMED_AS_HERE = {kind: re.sub(r"\b(" + "|".join(NAMES) + r")\b(?! KEY)", lambda name: NAMES[name[0]], sql)
                 for kind, sql in FOREIGN.items()}


NO_ROLE = """DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconciled') THEN
    DROP OWNED BY reconciled CASCADE; DROP ROLE reconciled; END IF; END $$"""


@pytest.fixture
def swept(database):
    """A database of each kind, in which nothing is left that the fixture of the next test would not empty."""
    yield database
    if database.kind == "postgresql":
        database.script("DROP SCHEMA IF EXISTS reconcile CASCADE")
        database.script(NO_ROLE)


def sql_block(kind, word):
    """The block for this database that holds the word."""
    name = {"sqlite": "-- SQLite", "postgresql": "-- PostgreSQL"}[kind]
    found = [text for language, text in BLOCKS if language == "sql" and text.startswith(name) and word in text]
    assert len(found) == 1, (name, word, len(found))
    return found[0]


def execute(database, script):
    if database.kind == "sqlite":
        database.script(script)
    else:
        for statement in re.split(r";\s*\n", script):  # CONCURRENTLY allows no other statement beside it
            if statement.strip():
                database.script(statement)


@pytest.fixture
def green_gate():
    """An orchestrator's own gate that is always green."""
    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"verdict":"green","reason":"as ever"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate) as gate:
        thread = threading.Thread(target=gate.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{gate.server_port}/gate?task={{task_id}}"
        gate.shutdown()
        thread.join()


@pytest.fixture
def heal(green_gate, tmp_path):
    """heal(url, …): migrates and makes one pass through a pipeline of one green gate; its report."""
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text(json.dumps({"stages": [
        {"name": "development", "gates": [{"kind": "http", "url": green_gate}], "next": "review"},
        {"name": "review", "agent": "reviewer", "next": "done"}, {"name": "done", "terminal": True}]}))

    def make(url, **settings):
        environment = {"PATH": os.environ["PATH"], "ORCH_DATABASE_URL": url, "ORCH_PIPELINE_FILE": str(pipeline),
                       **settings}
        for command in ("migrate", "check", "run"):
            done = subprocess.run([RECONCILED, command], env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout)

    return make


def test_tables_of_other_names_are_healed_through_the_views(swept, heal):
    execute(swept, FOREIGN[swept.kind])
    age = swept.ago(3600)
    swept.script("INSERT INTO work_items (id, key, repository, branch_name, phase, created, modified) VALUES "
                 f"(1, 'A-1', 'acme/app', 'b1', 'development', {age}, {age}), "
                 f"(2, 'A-2', 'acme/app', 'b2', 'development', {age}, {age})")
    swept.script("INSERT INTO work_queue (item_id, worker, state) VALUES (2, 'developer', 'running')")
    execute(swept, sql_block(swept.kind, "CREATE VIEW"))
    report = heal(swept.url, **({"ORCH_DATABASE_SCHEMA": "reconcile"} if swept.kind == "postgresql" else {}))
    assert [(item["task_id"], item["outcome"]) for item in report["items"]] == [(1, "advanced")]
    assert swept.query("SELECT id, phase FROM work_items ORDER BY id") == [(1, "review"), (2, "development")]
    assert swept.query("SELECT item_id, worker, state FROM work_queue ORDER BY id") == [
        (2, "developer", "running"), (1, "reviewer", "queued")]


def start_one(database, sandbox, url, **settings):
    """An issue of Plane is started: its task, branch and job are made."""
    plane = Plane(sandbox)
    plane.issues({"number": 77, "state": "In Progress", "name": "By other names"})
    done = reconciled("run", "--side", "plane", environment={"ORCH_GITEA_URL": sandbox.url + "/gitea", "ORCH_DATABASE_URL": url,
                                                             **plane.settings(), **settings})
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert plane_outcomes(json.loads(done.stdout)) == {"ORCH-77": "started"}


def test_an_issue_is_started_through_the_views(swept, sandbox):
    execute(swept, FOREIGN[swept.kind])
    execute(swept, sql_block(swept.kind, "CREATE VIEW"))
    settings = {"ORCH_DATABASE_SCHEMA": "reconcile"} if swept.kind == "postgresql" else {}
    start_one(swept, sandbox, swept.url, **settings)
    assert swept.query("SELECT key, summary, repository, branch_name, phase FROM work_items") == [
        ("ORCH-77", "By other names", "acme/app", "feature/ORCH-77-by-other-names", "analysis")]
    assert swept.query("SELECT worker, state FROM work_queue") == [("analyst", "queued")]


def test_the_indexes_can_be_made_and_are_those_that_are_looked_for(swept, heal):
    execute(swept, NAMED_AS_HERE[swept.kind])
    execute(swept, sql_block(swept.kind, "CREATE INDEX"))
    seed(swept, {"id": 1, "stage": "development"})
    assert heal(swept.url)["gate"]["advanced"] == 1
    if swept.kind == "sqlite":  # PostgreSQL's planner takes no index for one row
        plan = swept.query(
            "EXPLAIN QUERY PLAN SELECT id FROM tasks t WHERE stage = 'development' AND updated_at <= 'x' AND NOT EXISTS "
            "(SELECT 1 FROM jobs j WHERE j.status IN ('queued', 'running') AND j.task_id = t.id)")
        assert re.search(r"INDEX tasks_stage_updated_at \(stage=\? AND updated_at<\?\)", str(plan))
        assert re.search(r"INDEX jobs_active \(task_id=\?\)", str(plan))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_least_rights_are_enough(swept, heal, sandbox):
    execute(swept, NAMED_AS_HERE[swept.kind])
    seed(swept, {"id": 1, "stage": "development"})
    execute(swept, sql_block(swept.kind, "CREATE ROLE"))
    as_told = swept.url.replace("//postgres@", "//reconciled@")
    assert heal(as_told)["gate"]["advanced"] == 1
    assert swept.query("SELECT stage, (SELECT agent FROM jobs) FROM tasks") == [("review", "reviewer")]
    swept.script("SELECT setval('tasks_id_seq', 1)")
    start_one(swept, sandbox, as_told)
