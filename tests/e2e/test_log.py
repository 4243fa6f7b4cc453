"""Log lines: one an event, each whole in its format, each line of a pass with its id, and no secret in them or in any answer."""
import contextlib
import fcntl
import json
import os
import re
import select
import socket
import subprocess
import urllib.parse

import pytest
import yaml

from conftest import DEADLINE_S, RECONCILED, ROOT, SQLite, die_with_the_tests, eventually, outcomes, seed, stages

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=\\]+)(?: |$)')


def parse(line, style):
    """The fields of a line; fails if it is not wholly in that style."""
    if style == "json":
        pairs = json.loads(line, object_pairs_hook=list)
    else:
        assert PAIR.sub("", line) == "", line
        pairs = [(key, json.loads(value) if value.startswith('"') else value) for key, value in PAIR.findall(line)]
    fields = dict(pairs)
    assert len(fields) == len(pairs), line
    assert list(fields)[:3] == ["ts", "level", "msg"], line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", fields["ts"])
    return fields


def logged(service, style="logfmt"):
    return [parse(line, style) for line in service.log.read_text().splitlines()]


def branch(name, state):
    return {"name": name, "statuses": [{"context": "ci/build", "state": state}]}


REFUSE = {
    "sqlite": "CREATE TRIGGER poison BEFORE UPDATE ON tasks WHEN old.id = 2 BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": """CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
        CREATE TRIGGER poison BEFORE UPDATE ON tasks FOR EACH ROW WHEN (old.id = 2) EXECUTE FUNCTION poison()"""}


def test_every_line_of_a_pass_names_it(database, sandbox, make_service):
    service = make_service(ORCH_LOG_LEVEL="debug").start()
    service.expected_errors = ["the database refused to move a task"]
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "success")]})
    database.script(REFUSE[database.kind])
    database.script("DROP TABLE reconcile_passes")  # so that its report cannot be saved
    report = service.run()
    assert outcomes(report) == {1: "advanced", 2: "failed"}
    service.logged(report["id"], 4)
    of_it = [line["msg"] for line in logged(service) if line.get("pass") == report["id"]]
    assert sorted(of_it) == ["a pass report was not saved", "pass", "task unblocked: its webhook was lost",
                             "the database refused to move a task"]
    outside = {line["msg"] for line in logged(service) if "pass" not in line}
    assert outside <= {"version", "pipeline", "projects", "listening", "listener", "request", "microhttpd", "webhooks were not looked at"}, outside


@pytest.mark.parametrize("mode", ["heal", "observe"])
def test_the_first_lines_name_what_the_service_works_with(database, sandbox, make_service, mode):
    service = make_service(ORCH_RECONCILE_MODE=mode, ORCH_PROJECTS_JSON='[{"repo":"acme/app"}]')
    assert service.command("migrate").returncode == 0
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "done"}, {"id": 3, "stage": "review", "job": "queued"})
    service.start()
    service.logged("msg=database")
    first = {}
    for line in logged(service):
        first.setdefault(line["msg"], line)
    assert first["version"]["version"] and first["pipeline"]["stages"] == "8" and first["projects"]["projects"] == "1"
    assert first["mode"]["mode"] == mode and ("environment" in first["mode"].get("reason", "")) == (mode == "observe")
    assert first["sides"]["gate"] == "on" and (first["sides"]["plane"], first["sides"]["plane_reason"]) == ("off", "ORCH_PLANE_URL is not set")
    told = first["database"]
    assert (told["tasks"], told["jobs"], told["stuck"]) == ("3", "1", "1") and str(database.kind) in told["database"]
    for what in ("version", "pipeline", "projects", "mode", "sides", "database"):
        assert len(service.logged(f"msg={what} ")) == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_observe_logs_each_task_that_it_would_have_moved_once(database, sandbox, make_service):
    service = make_service(ORCH_RECONCILE_MODE="observe").start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "failure")]})
    for _ in range(3):
        assert outcomes(service.run()) == {1: "held", 2: "red"}
    assert service.put(mode="observe", reason="again").status == 200
    service.logged("settings changed")
    line, = service.logged("observed: a task would have been moved")
    assert "task_id=1 " in line and "stage=development to_stage=review" in line


# ---- a log that is not read ----


def start_unread(service):
    """Starts it with a small pipe for its log; the end to read from."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    service.log.touch()
    service.process = subprocess.Popen([RECONCILED, "serve"], env=service.environment, stderr=theirs, preexec_fn=die_with_the_tests)
    os.close(theirs)
    service.address = service.environment["ORCH_HTTP_LISTEN"]
    return ours


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def answers(service):
    with contextlib.suppress(OSError):
        return service.status()["last_run_ts"]


def fill(service):
    """More lines than the pipe and what waits for it hold."""
    for _ in range(1500):
        assert service.call("GET", "/healthz", timeout=10).status == 200


def read_until(pipe, pattern):
    text = b""
    while not re.search(pattern, text):
        assert select.select([pipe], [], [], DEADLINE_S)[0], text[-500:]
        part = os.read(pipe, 65536)
        assert part, text[-500:]
        text += part
    return text.decode()


def test_a_log_that_is_not_read_stops_neither_passes_nor_changes_nor_the_end(database, sandbox, make_service):
    service = make_service(ORCH_LOG_LEVEL="debug", ORCH_HTTP_LISTEN=free_address())
    pipe = start_unread(service)
    eventually(lambda: answers(service), "the first pass")
    fill(service)
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    assert outcomes(service.run()) == {1: "advanced"}
    assert service.call("PUT", "/reconcile/config", {"interval_s": 3600}).status == 200
    text = read_until(pipe, rb"msg=\"log lines were dropped[^\n]*\n")
    lines = [parse(line, "logfmt") for line in text.splitlines()]
    printed = [line for line in lines if line["msg"].startswith("log lines were dropped")]
    counted = re.search(r"^reconciled_log_lines_dropped_total (\d+)$", service.call("GET", "/metrics").body.decode(), re.MULTILINE)
    assert [line["lines"] for line in printed] == [counted[1]] and int(counted[1]) > 100
    assert "listening" in {line["msg"] for line in lines}  # the oldest lines are those that were kept
    fill(service)
    assert service.end() == 0
    os.close(pipe)


def full_pipe():
    """Both ends of one that takes no more."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x")
    os.set_blocking(theirs, True)
    return ours, theirs


@pytest.mark.parametrize("switched_on", [True, False])
def test_a_single_pass_waits_for_no_log_either(database, sandbox, make_service, switched_on):
    service = make_service(ORCH_RECONCILE_ENABLED=str(switched_on).lower())
    service.log.touch()
    assert service.command("migrate").returncode == 0
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    ours, theirs = full_pipe()
    process = subprocess.Popen([RECONCILED, "run", "--side", "gate"], env=service.environment, stdout=subprocess.DEVNULL, stderr=theirs,
                               preexec_fn=die_with_the_tests)
    os.close(theirs)
    try:
        assert process.wait(DEADLINE_S) == (0 if switched_on else 3)
    finally:
        process.kill()
        os.close(ours)
    assert stages(database) == {1: "review" if switched_on else "development"}


def test_a_single_pass_writes_all_its_lines_before_it_ends(database, sandbox, make_service):
    service = make_service()
    service.log.touch()
    assert service.command("migrate").returncode == 0
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 21)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, 21)]})
    done = service.command("run", "--side", "gate")
    printed = [parse(line, "logfmt")["msg"] for line in done.stderr.splitlines()]
    assert done.returncode == 0 and printed.count("task unblocked: its webhook was lost") == 20


def test_no_call_names_the_pass_by_itself():  # or it would be there twice
    calls = [path for folder in ("clients", "reconcile", "handlers", "server") for path in (ROOT / folder).rglob("*.c")
             if 'LOG_S("pass"' in path.read_text() and path.name != "log.c"]
    assert calls == []


on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@on_sqlite
@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_whatever_tasks_and_callers_hold_a_line_is_a_line(database, sandbox, make_service, style):
    service = make_service(ORCH_LOG_LEVEL="debug", ORCH_LOG_FORMAT=style).start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    odd = 'a=b "c"\nd\te\\ \x1b[31m ветка 🔧'
    seed(database, {"id": 1, "stage": "development", "repo": "acme/app", "branch": odd})
    sandbox.world({"full_name": "acme/app", "branches": [branch(odd, "success")]})
    database.script("""UPDATE tasks SET work_item_id = 'x" pass=none level=error' || char(10) || 'ts=1'""")
    service.run()
    service.call("GET", "/%0a/%22")
    service.put(mode="observe", by='ann "x"', reason="a=b \\ c")
    lines = eventually(lambda: any(line["msg"] == "settings changed" for line in logged(service, style)) and logged(service, style), "the last line")
    moved = [line for line in lines if line["msg"].startswith("task unblocked")]
    assert [line["work_item_id"] for line in moved] == ['x" pass=none level=error\nts=1']
    assert any(line["msg"] == "settings changed" for line in lines) and any(line.get("path") == "/%0a/%22" for line in lines)


@on_sqlite
def test_priorities_are_for_the_journal_alone(make_service):
    service = make_service(ORCH_LOG_LEVEL="debug")
    service.log.touch()
    place = service.log.stat()
    service.environment["JOURNAL_STREAM"] = f"{place.st_dev}:{place.st_ino}"  # as if the file were journald's socket
    service.start().end()
    lines = service.log.read_text().splitlines()
    assert {re.match(r"<(\d)>ts=\S+ level=(\w+) ", line).groups() for line in lines} == {("6", "info"), ("7", "debug")}
    service.log.write_text("")
    service.environment["JOURNAL_STREAM"] = f"{place.st_dev}:{place.st_ino + 1}"  # inherited, and redirected since
    service.start().end()
    assert logged(service)


# ---- secrets; those of the settings: test_messages.py ----

TOKEN, KEY, PASSWORD = "kApiKrrpt", "kGateMnnk", "kDatabaseHddu"


def pipeline(path, gate):
    path.write_text(json.dumps({"stages": [
        {"name": "created", "next": "development"},
        {"name": "development", "agent": "developer", "gates": [{"kind": "http", "url": gate}], "next": "done"},
        {"name": "done", "terminal": True}]}))
    return str(path)


def ask_everything(service, run):
    """Every GET that openapi.yaml knows, with the token where it belongs, and where it does not."""
    paths = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))["paths"]
    for path in [path.replace("/runs/{id}", f"/runs/{run}").replace("{id}", "1") for path, item in paths.items() if "get" in item]:
        yield service.call("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        yield service.call("GET", f"{path}?token={TOKEN}")
        yield service.call("GET", path, headers={"Authorization": f"Basic {TOKEN}"})
    for path in (f"/{TOKEN}", f"/reconcile/tasks/{TOKEN}", f"/reconcile/runs/x{TOKEN}", f"/{TOKEN.replace('A', '%41')}"):
        yield service.call("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})


@on_sqlite
@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_no_secret_in_a_url_is_in_any_line_or_answer(database, sandbox, make_service, tmp_path, style):
    gate = f"{sandbox.url}/gate/ok?key={KEY}&task={{task_id}}"
    service = make_service(ORCH_API_TOKEN=TOKEN, ORCH_LOG_LEVEL="debug", ORCH_LOG_FORMAT=style,
                           ORCH_PIPELINE_FILE=pipeline(tmp_path / "p.json", gate)).start()
    token = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    eventually(lambda: service.call("GET", "/reconcile/status", **token).json()["last_run_ts"], "the first pass")
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 4)])
    sandbox.world({"full_name": "acme/app"}, gates=[{"name": "ok", "query": f"key={KEY}&task=1", "verdict": "green"},
                                                    {"name": "ok", "query": f"key={KEY}&task=2", "verdict": "red"}])
    run = service.call("POST", "/reconcile/run", **token)
    assert outcomes(run.json()) == {1: "advanced", 2: "red", 3: "unknown"}
    answers = [run, *ask_everything(service, run.json()["id"])]
    said = [service.log.read_text(), *[str(answer.headers) + answer.body.decode() for answer in answers]]
    for arguments, settings in [(["check"], {}), (["run"], {}), (["check"], {"ORCH_DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:1/x"}),
                                (["serve"], {"ORCH_DATABASE_URL": f"mysql://u:{PASSWORD}@h/x", "ORCH_GITEA_URL": f"http://u:{PASSWORD}@h"})]:
        done = service.command(*arguments, **settings)
        said.append(done.stdout + done.stderr)
    assert all(text.strip() for text in said)
    assert [text for text in said if TOKEN in urllib.parse.unquote(text) or KEY in text or PASSWORD in text] == []
    asked = [line for line in logged(service, style) if line["msg"] == "request" and line["path"].startswith("/reconcile/tasks/")] if style == "json" else []
    assert style != "json" or all(line["method"] and line["status"] and line["ms"] >= 0 for line in asked) and asked
