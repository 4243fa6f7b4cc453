"""Rows as other programs leave them: bytes that are no text, texts without end, writes that one row alone is refused. Each costs itself."""
import os
import pathlib
import re

import pytest

from conftest import PostgreSQL, eventually, outcomes, stages
from plane_world import Plane, seed_task
from test_database import first_pass, green, moved_once, on_postgresql
from test_heal import branch

MEMORY_KB = 64 * 1024
BROKEN = "c3a9ff2f62"  # "é", a byte that is no UTF-8, "/b"


@pytest.fixture
def raw_postgresql(server):
    """A database that takes any bytes for text."""
    it = PostgreSQL(server, "raw")
    PostgreSQL(server, "postgres").script("DROP DATABASE IF EXISTS raw WITH (FORCE)")
    PostgreSQL(server, "postgres").script("CREATE DATABASE raw TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    yield it
    it.close()


on_raw = pytest.mark.parametrize("database", ["sqlite", "raw_postgresql"], indirect=True)


def text_of(database, hexadecimal):
    return f"CAST(x'{hexadecimal}' AS TEXT)" if database.kind == "sqlite" else f"convert_from(decode('{hexadecimal}', 'hex'), 'SQL_ASCII')"


def reasons(report):
    return {item["task_id"]: item["reason"] for item in report["items"]}


measured = pytest.mark.skipif("san-" in os.environ.get("RECONCILED", ""), reason="a sanitizer keeps books of its own")


def peak_kb(service):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{service.process.pid}/status").read_text())[1])


def warnings(service):
    done = service.command("check")
    return done.returncode, re.findall(r"(?m)^database +warning: (.*)$", done.stdout)


def test_check_counts_the_rows_whose_time_keeps_them_from_being_healed(database, sandbox, service):
    green(database, sandbox, 3)
    assert warnings(service) == (0, [])
    if database.kind == "sqlite":
        database.script("UPDATE tasks SET updated_at = '2020-11-31 00:00:00' WHERE id = 1;"
                        "UPDATE tasks SET updated_at = datetime('now', '+1 hour') WHERE id = 2")
    else:
        database.script("UPDATE tasks SET updated_at = 'infinity' WHERE id = 1;"
                        "UPDATE tasks SET updated_at = now() + interval '1 hour' WHERE id = 2;"
                        "ALTER TABLE tasks ALTER updated_at TYPE timestamp")
    status, said = warnings(service)
    assert status == 0
    assert "no time that can be read in 1 row, task 1" in said[0]
    assert "in the future in 1 row, task 2" in said[1]
    assert len(said) == (2 if database.kind == "sqlite" else 3) and ("without time zone" in said[-1]) == (database.kind == "postgresql")
    before = stages(database)
    service.start()
    first_pass(service)
    assert {id for id, stage in stages(database).items() if stage != before[id]} == {3}


# ---- reading ----


COLUMNS = {1: "title", 2: "branch", 3: "repo", 4: "work_item_id"}


def broken(database, sandbox):
    """Four tasks with a broken byte in one column each, and two that are whole."""
    green(database, sandbox, 6)
    for id, column in COLUMNS.items():
        database.script(f"UPDATE tasks SET {column} = {text_of(database, BROKEN)} WHERE id = {id}")


@on_raw
def test_a_row_that_cannot_be_read_is_unknown_and_the_others_heal(database, sandbox, service):
    broken(database, sandbox)
    report = service.run()
    assert outcomes(report) == {1: "unknown", 2: "unknown", 3: "unknown", 4: "unknown", 5: "advanced", 6: "advanced"}
    for id, column in COLUMNS.items():
        assert reasons(report)[id] == f"tasks.{column} holds bytes that are not UTF-8"
    assert sorted(id for id, stage in stages(database).items() if stage == "review") == [5, 6]
    database.script("UPDATE tasks SET title = 't', branch = 'b' || id, repo = 'acme/app', work_item_id = 'ORCH-' || id WHERE id < 5")
    assert set(outcomes(service.run()).values()) == {"advanced"}


@on_raw
def test_a_row_that_cannot_be_read_is_shown_mended_everywhere(database, sandbox, service):
    broken(database, sandbox)
    answer = service.call("GET", "/reconcile/tasks")
    assert answer.status == 200
    listed = {item["task_id"]: item for item in answer.json()["items"]}
    assert sorted(listed) == [1, 2, 3, 4, 5, 6]
    for id, column in COLUMNS.items():
        assert listed[id][column] == "\u00e9?/b"
        explained = service.call("GET", f"/reconcile/tasks/{id}")
        assert explained.status == 200 and explained.json()["gate"]["verdict"] == "unknown"
        assert explained.json()[column] == "\u00e9?/b" and f"tasks.{column}" in explained.json()["gate"]["reason"]
        assert service.call("GET", f"/reconcile/history?task_id={id}").status == 200
    assert service.call("GET", "/reconcile/tasks?repo=acme/app").status == 200
    assert service.call("GET", "/reconcile/history").status == 200
    for id in (5, 6):
        sha = sandbox.api(f"repos/acme/app/branches/b{id}")["commit"]["id"]
        resolved = service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={sha}")
        assert resolved.status == 200 and resolved.json()["branch"] == f"b{id}"
    database.script("UPDATE tasks SET stage = 'done' WHERE id <> 2")  # the one that still waits for CI has a branch that cannot be read
    resolved = service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={'0' * 40}")
    assert resolved.status == 404 and "tasks.branch" in resolved.json()["detail"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value, cause", [("'b1' || char(0) || 'x'", "bytes that are not UTF-8"), ("x'6231'", "a blob, not text"),
                                          ("CAST(x'6231ff' AS TEXT)", "bytes that are not UTF-8")])
def test_what_sqlite_takes_for_text_is_never_another_name(database, sandbox, service, value, cause):
    green(database, sandbox, 2)
    database.script(f"UPDATE tasks SET branch = {value} WHERE id = 1")
    report = service.run()
    assert outcomes(report) == {1: "unknown", 2: "advanced"} and reasons(report)[1] == f"tasks.branch holds {cause}"


def test_a_name_that_is_too_long_is_not_cut_into_another(database, sandbox, service):
    green(database, sandbox, 2)
    sandbox.world({"full_name": "acme/app", "branches": [branch("b" * 400, "success"), branch("b2", "success")]})
    database.script(f"UPDATE tasks SET branch = '{'b' * 401}' WHERE id = 1")
    report = service.run()
    assert outcomes(report) == {1: "unknown", 2: "advanced"} and reasons(report)[1] == "tasks.branch is longer than 400 bytes"


@on_raw
def test_a_verdict_or_a_start_of_a_row_that_cannot_be_read_waits_and_the_others_do_not(database, sandbox, make_service):
    plane = Plane(sandbox)
    service = first_pass(make_service(**plane.settings()).start())
    plane.issues({"number": 1, "state": "Approved"}, {"number": 2, "state": "Approved"}, {"number": 3, "state": "In Progress"},
                 {"number": 4, "state": "In Progress"})
    for key, stage in {"ORCH-1": "analysis", "ORCH-2": "analysis", "ORCH-3": "created", "ORCH-4": "created"}.items():
        seed_task(database, plane, key, stage)
    database.script(f"UPDATE tasks SET title = {text_of(database, BROKEN)} WHERE id IN (1, 3)")
    report = service.run(side="plane")
    assert outcomes(report) == {1: "unknown", 2: "approved", 3: "failed", 4: "started"}
    assert "tasks.title holds bytes that are not UTF-8" in reasons(report)[1] and "tasks.title holds" in reasons(report)[3]
    for id in (1, 3):
        explained = service.call("GET", f"/reconcile/tasks/{id}")
        assert explained.status == 200 and "tasks.title holds" in explained.json()["next"]["words"]
    database.script("UPDATE tasks SET title = 't'")
    assert outcomes(service.run(side="plane")) == {1: "approved", 3: "started"}


# ---- writing ----


@on_postgresql
@pytest.mark.parametrize("what, words", [
    ("ALTER TABLE jobs ADD CONSTRAINT not_two CHECK (task_id <> 2)", "not_two"),
    ("ALTER TABLE jobs ADD big int GENERATED ALWAYS AS (CASE WHEN task_id = 2 THEN (task_id * 2000000000)::int ELSE 0 END) STORED",
     "(SQLSTATE 22003)"),
    ("ALTER TABLE jobs ADD queue int NOT NULL GENERATED ALWAYS AS (nullif(task_id, 2)) STORED", '(SQLSTATE 23502): null value in column "queue"'),
    ("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not on a Friday'; END $$;"
     "CREATE TRIGGER no BEFORE UPDATE ON tasks FOR EACH ROW WHEN (old.id = 2) EXECUTE FUNCTION no()", "(SQLSTATE P0001): not on a Friday"),
    ("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '55000'; END $$;"
     "CREATE TRIGGER no BEFORE UPDATE ON tasks FOR EACH ROW WHEN (old.id = 2) EXECUTE FUNCTION no()", "(SQLSTATE 55000)"),
])
def test_a_write_that_one_row_is_refused_stops_no_other(database, sandbox, service, what, words):
    service.expected_errors.append('msg="the database refused to move a task"')
    green(database, sandbox, 4)
    database.script(what)
    report = service.run()
    assert report["state"] == "done" and outcomes(report) == {1: "advanced", 2: "failed", 3: "advanced", 4: "advanced"}
    assert words in reasons(report)[2]
    moved_once(database, [1, 3, 4])


@on_postgresql
def test_a_row_security_policy_refuses_its_task_alone(database, sandbox, make_service):
    first_pass(make_service().start()).end()
    database.script("DROP ROLE IF EXISTS policed; CREATE ROLE policed LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO policed;"
                    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO policed; GRANT ALL ON SCHEMA public TO policed;"
                    "ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;"
                    "CREATE POLICY two ON jobs USING (true) WITH CHECK (task_id <> 2)")
    service = first_pass(make_service(ORCH_DATABASE_URL=database.url.replace("postgres@", "policed@")).start())
    service.expected_errors.append('msg="the database refused to move a task"')
    green(database, sandbox, 3)
    report = service.run()
    assert report["state"] == "done" and outcomes(report) == {1: "advanced", 2: "failed", 3: "advanced"}
    assert "(SQLSTATE 42501)" in reasons(report)[2] and "jobs" in reasons(report)[2]
    assert outcomes(service.run()) == {2: "failed"}  # alone, too, it ends no pass
    database.script("DROP OWNED BY policed")
    service.end()
    database.script("DROP ROLE policed")


@on_postgresql
def test_a_task_that_another_session_holds_is_refused_alone(database, sandbox, service):
    service.expected_errors.append('msg="the database refused to move a task"')
    green(database, sandbox, 3)
    holder = PostgreSQL(database.server)
    holder.script("BEGIN; SELECT FROM tasks WHERE id = 2 FOR UPDATE")
    report = service.run()
    assert report["state"] == "done" and outcomes(report) == {1: "advanced", 2: "failed", 3: "advanced"}
    assert "(SQLSTATE 55P03)" in reasons(report)[2]
    assert outcomes(service.run()) == {2: "failed"}
    holder.close()
    eventually(lambda: outcomes(service.run()).get(2) == "advanced", "the task's turn")


# ---- memory ----


def fill(database, n, **texts):
    """So many stuck tasks, with these SQL expressions of their number i."""
    columns = {"plane_id": "'p' || i", "work_item_id": "'ORCH-' || i", "title": "'t'", "repo": "'acme/app'", "branch": "'task-' || i", **texts}
    age = database.ago(3600)
    numbers = (f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {n}) " if database.kind == "sqlite" else
               f"WITH c(i) AS (SELECT generate_series(1, {n})) ")
    database.script(f"{numbers} INSERT INTO tasks (id, {', '.join(columns)}, stage, created_at, updated_at)"
                    f" SELECT i, {', '.join(columns.values())}, 'development', {age}, {age} FROM c")


def long_text(database, size):
    return f"replace(hex(zeroblob({size // 2})), '00', 'xy')" if database.kind == "sqlite" else f"repeat('xy', {size // 2})"


@measured
@pytest.mark.parametrize("what", ["titles", "all columns", "names as long as may be"])
def test_a_pass_over_5000_tasks_with_long_texts_stays_small(database, sandbox, make_service, what):
    service = first_pass(make_service(ORCH_RECONCILE_MAX_HEALS_PER_PASS="100").start())
    sandbox.control("POST", "generate", {"repo": "acme/app", "branches": 5000, "state": "success"})
    long = long_text(database, 16 * 1024)
    if what == "titles":
        fill(database, 5000, title=long)
    elif what == "all columns":
        fill(database, 5000, title=long, plane_id=f"i || {long}", work_item_id=long, repo=f"'acme/' || {long}", branch=long)
    else:
        name = long_text(database, 390)
        fill(database, 5000, title=long, plane_id=f"i || {name}", work_item_id=f"i || {name}", branch=f"i || {name}")
    report = service.run()
    assert report["gate"]["candidates"] == 5000 and report["state"] == "done"
    assert report["gate"]["advanced" if what == "titles" else "unknown"] >= 100
    assert peak_kb(service) < MEMORY_KB


@measured
def test_a_pass_over_titles_of_a_megabyte_stays_small(database, sandbox, service):
    sandbox.control("POST", "generate", {"repo": "acme/app", "branches": 120, "state": "success"})
    fill(database, 120, title=long_text(database, 1024 * 1024))
    assert service.run(dry_run=True)["gate"]["advanced"] == 120  # dry: to write such rows again takes a disk, not memory
    assert service.call("GET", "/reconcile/tasks?limit=500").status == 200
    assert peak_kb(service) < MEMORY_KB
