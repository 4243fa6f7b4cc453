"""Databases that come and go, lock, refuse and lie elsewhere; several replicas on one."""
import concurrent.futures
import contextlib
import re
import socket
import sqlite3
import time

import pytest

from conftest import DEADLINE_S, PostgreSQL, dump, eventually, outcomes, reconciled, rows, seed, stages
from test_heal import branch

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def green(database, sandbox, n):
    seed(database, *[{"id": id, "stage": "development", "age": 3600 + 60 * id} for id in range(1, n + 1)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, n + 1)]})


def moved_once(database, ids):
    """Every one of the tasks is in review, with one job and one ledger row, and no other has any."""
    ids = sorted(ids)
    assert [id for id, stage in sorted(stages(database).items()) if stage == "review"] == ids
    assert sorted(database.query("SELECT task_id, agent, status FROM jobs")) == [(id, "reviewer", "queued") for id in ids]
    assert sorted(database.query("SELECT task_id, from_stage, to_stage, outcome FROM reconcile_ledger")) == [
        (id, "development", "review", "advanced") for id in ids]


def first_pass(service):
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    return service


# ---- PostgreSQL comes and goes ----


@on_postgresql
def test_an_outage_of_postgresql_is_told_and_healed_from(database, sandbox, service):  # 20
    service.expected_errors.append('msg="the database cannot be asked"')
    green(database, sandbox, 2)
    database.close()
    database.server.stop()
    try:
        answer = service.call("POST", "/reconcile/run", {"side": "gate"})
        assert answer.status == 503 and answer.headers["retry-after"]
        eventually(lambda: service.call("GET", "/readyz").status == 503, "the end of readiness")
        for method, path, body in (("GET", "/reconcile/config", None), ("GET", "/reconcile/runs", None),
                                   ("PUT", "/reconcile/config", {"enabled": False}), ("POST", "/reconcile/run", {"dry_run": True})):
            assert service.call(method, path, body).status == 503, path
        assert service.call("GET", "/healthz").status == 200
        database_health = service.status()["upstreams"]["database"]
        assert database_health["ok"] is False and database_health["error"] and database_health["since"]
    finally:
        database.server.start()
    assert outcomes(service.run()) == {1: "advanced", 2: "advanced"}
    assert service.status()["upstreams"]["database"] == {"ok": True}
    moved_once(database, [1, 2])
    logged = service.logged("the database", 2)
    assert ["cannot be asked" in line for line in logged] == [True, False]  # once when it broke, once when it was back


@on_postgresql
def test_a_restart_of_postgresql_between_passes_goes_unnoticed(database, sandbox, service):
    green(database, sandbox, 2)
    database.close()
    database.server.stop()
    database.server.start()
    service.become_ready()
    assert outcomes(service.run()) == {1: "advanced", 2: "advanced"}
    moved_once(database, [1, 2])


@on_postgresql
def test_probes_of_a_frozen_postgresql_keep_nobody_waiting(database, make_service):
    token = {"headers": {"Authorization": "Bearer sesame"}, "timeout": 10}  # five times as long as it may take
    service = make_service(ORCH_API_TOKEN="sesame").start()
    service.become_ready()
    with database.server.frozen(), concurrent.futures.ThreadPoolExecutor(50) as pool:
        probes = [pool.submit(service.call, "GET", "/readyz", timeout=10) for _ in range(1000)]
        paths = ["/reconcile/runs", "/reconcile/config", "/reconcile/tasks", "/reconcile/tasks/1", "/reconcile/history"]
        for answer in concurrent.futures.ThreadPoolExecutor(20).map(lambda path: service.call("GET", path, **token), paths * 4):
            assert answer.status == 200 or (answer.status == 503 and answer.headers["retry-after"])
        assert {probe.result().status for probe in probes} <= {200, 503}
        why = eventually(lambda: (answer := service.call("GET", "/readyz")).status == 503 and answer.json()["detail"], "the end of readiness")
        assert why.startswith("the database has not answered for ")
    service.become_ready()
    assert eventually(lambda: service.call("GET", "/reconcile/runs", **token).status == 200, "an answer")


@on_postgresql
@pytest.mark.parametrize("after_s", [0.5, 1.5])
def test_a_database_host_that_drops_what_it_is_sent_does_not_hold_up_the_end(make_service, after_s):
    with socket.socket() as hole, socket.socket() as filler:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)  # no accept follows: once the one place is taken, the kernel drops what comes
        filler.connect(hole.getsockname())
        service = make_service(ORCH_DATABASE_URL=f"postgresql://u@127.0.0.1:{hole.getsockname()[1]}/x", ORCH_RECONCILE_INTERVAL_S="1").start()
        service.expected_errors.append("cannot be asked")
        time.sleep(after_s)  # in the midst of connecting
        begun = time.monotonic()
        assert service.end() == 0 and time.monotonic() - begun < 8


@on_postgresql
def test_connections_lost_in_mid_pass_cost_nothing(database, sandbox, service):
    green(database, sandbox, 5)
    sandbox.fault("/gitea/*/status", "hang")
    run = service.begin()
    sandbox.hanging(5)
    database.script("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = 'e2e' AND pid <> pg_backend_pid()")
    sandbox.heal()
    assert service.report(run)["gate"]["advanced"] == 5
    moved_once(database, range(1, 6))


@on_postgresql
def test_an_outage_in_mid_pass_leaves_no_half_state(database, sandbox, service):
    service.expected_errors.append('msg="the database cannot be asked"')
    green(database, sandbox, 5)
    before = rows(database)
    sandbox.fault("/gitea/*/status", "hang")
    run = service.begin()
    sandbox.hanging(5)
    database.close()
    database.server.stop("immediate")  # as a crash does
    try:
        sandbox.heal()
        report = service.report(run)
        assert report["state"] == "failed" and report["error"] and report["gate"]["advanced"] == 0
    finally:
        database.server.start()
    assert rows(database) == before
    assert service.run()["gate"]["advanced"] == 5
    moved_once(database, range(1, 6))


@on_postgresql
def test_the_service_starts_before_its_database(database, make_service, sandbox):
    PostgreSQL(database.server, "postgres").script("DROP DATABASE IF EXISTS late")
    late = PostgreSQL(database.server, "late")
    service = make_service(ORCH_DATABASE_URL=late.url)  # its interval is a day: readiness must not wait for it
    service.expected_errors.append('msg="the database cannot be asked"')
    service.start()
    assert service.call("GET", "/readyz").status == 503
    assert service.call("GET", "/healthz").status == 200
    eventually(lambda: service.status()["upstreams"]["database"]["ok"] is False)
    assert "late" in service.status()["upstreams"]["database"]["error"]
    database.script("CREATE DATABASE late")
    service.become_ready()
    green(late, sandbox, 1)
    assert outcomes(service.run()) == {1: "advanced"}
    late.close()


@on_postgresql
def test_the_tables_may_lie_in_a_schema_of_their_own(database, make_service, sandbox):
    database.script("CREATE SCHEMA orch")
    service = make_service(ORCH_DATABASE_SCHEMA="orch", ORCH_DATABASE_URL=database.url)
    first_pass(service.start())
    assert database.tables() == []
    database.script("SET search_path = orch")
    green(database, sandbox, 1)
    assert outcomes(service.run()) == {1: "advanced"}
    moved_once(database, [1])


# ---- replicas ----


@on_postgresql
def test_replicas_that_find_the_same_tasks_move_each_once(database, make_service, sandbox):  # 17
    replicas = [first_pass(make_service(ORCH_RECONCILE_MAX_HEALS_PER_PASS="1000").start()) for _ in range(2)]
    sandbox.control("POST", "generate", {"repo": "acme/app", "branches": 200, "state": "success"})
    seed(database, *[{"id": id, "stage": "development", "branch": f"task-{id}"} for id in range(1, 201)])
    sandbox.fault("/gitea/*/status", "hang")  # until both have chosen all 200
    runs = [replica.begin() for replica in replicas]
    sandbox.hanging(17)  # more than one replica has under way
    sandbox.heal()
    reports = [replica.report(run) for replica, run in zip(replicas, runs)]
    assert [report["gate"]["candidates"] for report in reports] == [200, 200]
    assert sum(report["gate"]["advanced"] for report in reports) == 200
    assert sum(report["gate"]["raced"] for report in reports) == 200
    moved_once(database, range(1, 201))
    for replica in replicas:
        assert replica.run()["gate"]["candidates"] == 0


@on_postgresql
def test_a_switch_thrown_at_one_replica_stops_the_other_in_mid_pass(database, make_service, sandbox):  # 12
    one, other = [first_pass(make_service().start()) for _ in range(2)]
    green(database, sandbox, 5)
    sandbox.fault("/gitea/*/status", "hang")
    run = one.begin()
    sandbox.hanging(5)
    assert other.put(enabled=False, by="ann", reason="moving Gitea").status == 200
    before = rows(database)
    sandbox.heal()
    report = one.report(run)
    assert set(outcomes(report).values()) == {"held"} and "ann" in report["items"][0]["reason"]
    assert rows(database) == before and database.query("SELECT * FROM reconcile_ledger") == []
    assert one.call("POST", "/reconcile/run").json()["reason"] == "moving Gitea"
    assert one.status()["enabled"] is False


# ---- SQLite is locked ----


@contextlib.contextmanager
def locked(database, how="IMMEDIATE"):
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None, timeout=DEADLINE_S)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


@on_sqlite
def test_a_file_locked_by_somebody_else_is_told_and_nothing_is_lost(database, sandbox, service):
    service.expected_errors.append('msg="the database cannot be asked"')
    green(database, sandbox, 2)
    before = rows(database)
    with locked(database):
        answer = service.call("POST", "/reconcile/run", {"side": "gate"})
        assert answer.status == 503
        report = answer.json()["report"]
        assert outcomes(report) == {1: "failed", 2: "failed"} and "lock" in report["error"]
        assert service.status()["upstreams"]["database"]["ok"] is False and "lock" in service.status()["upstreams"]["database"]["error"]
        assert service.call("GET", "/healthz").status == 200
        assert service.run(dry_run=True)["gate"]["advanced"] == 2  # reading is not locked out
        assert service.put(enabled=False).status == 503
    assert rows(database) == before
    assert outcomes(service.run()) == {1: "advanced", 2: "advanced"}
    assert service.status()["upstreams"]["database"] == {"ok": True}
    moved_once(database, [1, 2])


@on_sqlite
def test_a_lock_held_for_a_moment_is_waited_for(database, sandbox, service):
    green(database, sandbox, 2)
    sandbox.fault("/gitea/*/status", "hang")
    run = service.begin()
    sandbox.hanging(2)
    with locked(database):
        sandbox.heal()
    assert service.report(run)["gate"]["advanced"] == 2
    moved_once(database, [1, 2])


@on_sqlite
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_file_that_was_there_keeps_its_journal_and_its_rows(database, sandbox, make_service, mode):
    database.query(f"PRAGMA journal_mode = {mode}")
    database.script("CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id TEXT UNIQUE, work_item_id TEXT, title TEXT, repo TEXT, branch TEXT,"
                    " stage TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP, updated_at TEXT DEFAULT CURRENT_TIMESTAMP, note TEXT)")
    green(database, sandbox, 2)
    database.script("UPDATE tasks SET note = 'ours'")
    tables = database.query("SELECT sql FROM sqlite_master WHERE tbl_name = 'tasks'")
    service = first_pass(make_service().start())
    moved_once(database, [1, 2])
    assert database.query("PRAGMA journal_mode") == [(mode,)]
    assert database.query("SELECT sql FROM sqlite_master WHERE tbl_name = 'tasks'") == tables
    assert database.query("SELECT DISTINCT note, title FROM tasks") == [("ours", "a task")]
    with locked(database, "EXCLUSIVE"):
        assert service.call("GET", "/reconcile/status").status == 200
        assert service.call("GET", "/healthz").status == 200


# ---- either ----


def test_a_row_that_the_database_refuses_stops_no_other(database, sandbox, service):
    service.expected_errors.append('msg="the database refused to move a task"')
    green(database, sandbox, 4)
    if database.kind == "sqlite":
        database.script("CREATE TRIGGER no BEFORE UPDATE ON tasks WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END")
    else:
        database.script("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
                        "CREATE TRIGGER no BEFORE UPDATE ON tasks FOR EACH ROW WHEN (old.id = 2) EXECUTE FUNCTION no()")
    for _ in range(2):
        report = service.run()
        assert outcomes(report)[2] == "failed" and report["state"] == "done"
    moved_once(database, [1, 3, 4])
    database.script("DROP TRIGGER no" + (" ON tasks" if database.kind == "postgresql" else ""))
    assert outcomes(service.run()) == {2: "advanced"}
    moved_once(database, [1, 2, 3, 4])


def test_settings_that_nobody_understands_count_as_off(database, sandbox, service):  # 12
    green(database, sandbox, 2)
    before = rows(database)
    for overrides in ('{"enabled":', '[]', '{"enabled":{"value":"perhaps"}}', '{"enabled":true}'):
        text = overrides.replace("'", "''")
        database.script(f"UPDATE reconcile_settings SET revision = revision + 1, overrides = '{text}'")
        answer = service.call("POST", "/reconcile/run", {"side": "gate"})
        assert answer.status == 409 and "stored setting" in answer.json()["detail"]
    assert rows(database) == before and database.query("SELECT * FROM reconcile_ledger") == []
    database.script("UPDATE reconcile_settings SET revision = revision + 1, overrides = '{}'")
    assert service.run()["gate"]["advanced"] == 2


def test_tables_under_other_names_are_reached_through_views(database, sandbox, make_service):
    key = "INTEGER PRIMARY KEY" if database.kind == "sqlite" else "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    time = "TEXT DEFAULT CURRENT_TIMESTAMP" if database.kind == "sqlite" else "timestamptz DEFAULT now()"
    database.script(f"CREATE TABLE work (nr {key}, plane TEXT UNIQUE, item TEXT, title TEXT, repo TEXT, branch TEXT, phase TEXT, born {time},"
                    f" touched {time}); CREATE TABLE work_jobs (nr {key}, work INTEGER, agent TEXT, status TEXT DEFAULT 'queued', born {time},"
                    f" touched {time});"
                    "CREATE VIEW tasks AS SELECT nr AS id, plane AS plane_id, item AS work_item_id, title, repo, branch, phase AS stage,"
                    " born AS created_at, touched AS updated_at FROM work;"
                    "CREATE VIEW jobs AS SELECT nr AS id, work AS task_id, agent, status, born AS created_at, touched AS updated_at"
                    " FROM work_jobs;")
    if database.kind == "sqlite":
        database.script(
            "CREATE TRIGGER a INSTEAD OF INSERT ON tasks BEGIN INSERT INTO work VALUES (new.id, new.plane_id, new.work_item_id, new.title,"
            " new.repo, new.branch, new.stage, new.created_at, new.updated_at); END;"
            "CREATE TRIGGER b INSTEAD OF UPDATE ON tasks BEGIN UPDATE work SET phase = new.stage, touched = new.updated_at WHERE nr = old.id;"
            " END; CREATE TRIGGER c INSTEAD OF INSERT ON jobs BEGIN INSERT INTO work_jobs (work, agent, status) VALUES (new.task_id, new.agent,"
            " coalesce(new.status, 'queued')); END;")
    green(database, sandbox, 2)
    service = first_pass(make_service().start())
    moved_once(database, [1, 2])
    assert {"work", "work_jobs"} <= set(database.tables()) and not {"tasks", "jobs"} & set(database.tables())
    assert service.run()["gate"]["candidates"] == 0


# The column that is refused, its definition on SQLite and on PostgreSQL, and the plane_id of the row that stands there.
ISSUE = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
MISREAD = [("tasks.id", ("TEXT PRIMARY KEY", "text PRIMARY KEY"), f"'{ISSUE}'"),
           ("tasks.plane_id", ("BLOB", "bytea"), "NULL"),
           ("tasks.plane_id", ("TEXT", "text"), f"'{ISSUE} '"),
           ("tasks.plane_id", ("TEXT", "text"), f"'{{{ISSUE}}}'"),
           ("jobs.id", ("TEXT PRIMARY KEY", "bigint PRIMARY KEY"), f"'{ISSUE}'")]


def make_tables(database, column, definition, plane_id):
    key = "INTEGER PRIMARY KEY" if database.kind == "sqlite" else "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    time = "TEXT" if database.kind == "sqlite" else "timestamptz"
    is_of = {"tasks.id": key, "tasks.plane_id": "text", "jobs.id": key, column: definition}
    database.script(f"CREATE TABLE tasks (id {is_of['tasks.id']}, plane_id {is_of['tasks.plane_id']}, work_item_id text, title text, repo text,"
                    f" branch text, stage text, created_at {time}, updated_at {time}, UNIQUE (plane_id));"
                    f"CREATE TABLE jobs (id {is_of['jobs.id']}, task_id integer, agent text, status text, created_at {time}, updated_at {time});"
                    "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) VALUES"
                    f" ('5', {plane_id}, 'ORCH-5', 't', 'acme/app', 'b5', 'development', {database.ago(3600)}, {database.ago(3600)});")


def not_ready(service):
    answer = service.call("GET", "/readyz")
    assert answer.status == 503
    return answer.json()["detail"]


@pytest.mark.parametrize("column,definitions,plane_id", MISREAD)
def test_a_column_that_would_be_misread_is_refused_by_name(database, sandbox, make_service, column, definitions, plane_id):
    make_tables(database, column, definitions[database.kind == "postgresql"], plane_id)
    sandbox.world({"full_name": "acme/app", "branches": [branch("b5", "success")]})
    before = database.query("SELECT * FROM tasks")
    service = make_service()
    service.expected_errors.append('msg="the database cannot be asked"')
    service.start()
    eventually(lambda: column in service.status()["upstreams"]["database"].get("error", ""), "the refusal at the start")
    detail = eventually(lambda: (column in (said := not_ready(service))) and said, "the refusal by readiness")
    assert "right would be" in detail
    answer = service.call("POST", "/reconcile/run", {"side": "gate"})
    assert answer.status == 503 and column in answer.body.decode()
    checked, run = service.command("check"), service.command("run", "--side", "gate")
    assert checked.returncode == 1 and re.search(f"(?m)^database +BAD: .*{column}", checked.stdout)
    assert run.returncode == 1 and column in run.stderr
    assert database.query("SELECT * FROM tasks") == before and database.query("SELECT * FROM jobs") == []
    assert database.query("SELECT * FROM reconcile_ledger") == []


def test_what_was_refused_is_healed_once_it_is_mended(database, sandbox, make_service):
    make_tables(database, "tasks.plane_id", "text", f"'{ISSUE} '")
    sandbox.world({"full_name": "acme/app", "branches": [branch("b5", "success")]})
    service = make_service(ORCH_RECONCILE_INTERVAL_S="1")
    service.expected_errors.append('msg="the database cannot be asked"')
    service.start()
    eventually(lambda: "tasks.plane_id" in service.status()["upstreams"]["database"].get("error", ""), "the refusal")
    database.script("UPDATE tasks SET plane_id = trim(plane_id)")
    eventually(lambda: service.call("GET", "/readyz").status == 200, "readiness")
    eventually(lambda: stages(database) == {5: "review"}, "the heal")


@on_sqlite
def test_text_ids_are_not_read_as_their_leading_digits(database, sandbox, make_service):
    make_tables(database, "tasks.id", "TEXT PRIMARY KEY", "NULL")
    database.script("INSERT INTO tasks SELECT '5f0c', NULL, 'ORCH-6', 't', 'acme/app', 'green', stage, created_at, updated_at FROM tasks")
    sandbox.world({"full_name": "acme/app", "branches": [branch("b5", "failure"), branch("green", "success")]})
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 1
    service = make_service()
    service.expected_errors.append('msg="the database cannot be asked"')
    service.start()
    assert service.call("POST", "/reconcile/run", {"side": "gate"}).status == 503
    assert database.query("SELECT id, stage FROM tasks") == [("5", "development"), ("5f0c", "development")]


def test_a_stage_that_only_the_database_takes_for_a_gates_stops_nobody(database, sandbox, make_service):
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0
    odd = "development"
    if database.kind == "postgresql":
        database.script("ALTER TABLE tasks ALTER COLUMN stage TYPE char(16)")
    else:
        odd = "Development"
        database.script("DROP TABLE tasks; CREATE TABLE tasks (id INTEGER PRIMARY KEY, plane_id TEXT UNIQUE, work_item_id TEXT, title TEXT,"
                        " repo TEXT, branch TEXT, stage TEXT COLLATE NOCASE, created_at TEXT, updated_at TEXT)")
    seed(database, {"id": 1, "stage": odd})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    service = first_pass(make_service().start())
    for _ in range(2):
        report = service.run()
        assert report["unknown_stage"] == 1 and report["items"] == [] and report["state"] == "done"
    assert stages(database)[1].strip() == odd
    assert service.call("GET", "/reconcile/tasks/1").status == 200


def test_a_task_touched_in_the_future_has_not_rested(database, sandbox, service):  # 19
    seed(database, {"id": 1, "stage": "development", "age": -7200}, {"id": 2, "stage": "development", "age": 540},
         {"id": 3, "stage": "development", "age": 601})
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in (1, 2, 3)]})
    assert outcomes(service.run()) == {3: "advanced"}


def test_passes_by_many_at_once_move_each_task_once(database, sandbox, service):  # 17
    green(database, sandbox, 20)
    with concurrent.futures.ThreadPoolExecutor(16) as many:
        reports = list(many.map(lambda _: service.run(), range(16)))
    by_id = {report["id"]: report for report in reports}
    assert sum(report["gate"]["advanced"] for report in by_id.values()) == 20
    moved_once(database, range(1, 21))


def test_a_converged_system_is_left_alone_by_the_timer(database, sandbox, make_service):  # 15
    service = make_service(ORCH_RECONCILE_INTERVAL_S="1").start()
    first_pass(service)
    seed(database, {"id": 1, "stage": "done"}, {"id": 2, "stage": "development", "age": 5}, {"id": 3, "stage": "testing", "job": "queued"},
         {"id": 4, "stage": "analysis"}, {"id": 5, "stage": "polishing"})
    before, log, asked = dump(database), service.log.read_text(), sandbox.asked()
    seen = set()
    eventually(lambda: seen.add(service.status()["last_run_ts"]) or len(seen) >= 4, "three passes")
    assert dump(database) == before and service.log.read_text() == log and sandbox.asked() == asked
