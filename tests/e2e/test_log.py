"""Log lines: one an event, each whole in its format, each line of a pass with its id, and no secret in them or in any answer."""
import json
import re

import pytest
import yaml

from conftest import ROOT, SQLite, eventually, outcomes, seed

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
    of_it = [line["msg"] for line in logged(service) if line.get("pass") == report["id"]]
    assert sorted(of_it) == ["a pass report was not saved", "pass", "task unblocked: its webhook was lost",
                             "the database refused to move a task"]
    outside = {line["msg"] for line in logged(service) if "pass" not in line}
    assert outside <= {"listening", "listener", "request", "microhttpd"}, outside


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
    lines = logged(service, style)
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


# ---- secrets ----

PLANTED = {"ORCH_API_TOKEN": "kApiKrrpt", "ORCH_GITEA_TOKEN": "kGiteaQzzw", "ORCH_PLANE_API_TOKEN": "kPlaneVbbx",
           "ORCH_TELEGRAM_BOT_TOKEN": "77:kTelegramJffy"}
IN_URLS = ["kDatabaseHddu", "kGateMnnk"]


def pipeline(path, gate):
    path.write_text(json.dumps({"stages": [
        {"name": "created", "next": "development"},
        {"name": "development", "agent": "developer", "gates": [{"kind": "ci"}, {"kind": "http", "url": gate}], "next": "done"},
        {"name": "done", "terminal": True}]}))
    return str(path)


def ask_for_everything(service, headers, run):
    """Every answer to a GET that openapi.yaml knows, and some to what is wrong."""
    paths = yaml.safe_load((ROOT / "openapi/openapi.yaml").read_text(encoding="utf-8"))["paths"]
    for path in [path.replace("/runs/{id}", f"/runs/{run}").replace("{id}", "1") for path, item in paths.items() if "get" in item]:
        yield service.call("GET", path, headers=headers)
        yield service.call("GET", f"{path}?token={PLANTED['ORCH_API_TOKEN']}", headers=headers)
        yield service.call("GET", path, headers={"Authorization": f"Basic {PLANTED['ORCH_API_TOKEN']}"})
    yield service.call("PUT", "/reconcile/config", {"enabled": "no", "gitea_token": 1}, headers=headers)
    yield service.call("PUT", "/reconcile/config", {"log_level": "debug", "by": "ann"}, headers=headers)
    yield service.call("POST", "/reconcile/run", b"{", headers={**headers, "Content-Type": "application/json"})


@on_sqlite
@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_no_secret_is_in_any_line_or_answer(database, sandbox, make_service, tmp_path, style):
    gate = f"{sandbox.url}/gate/ok?key={IN_URLS[1]}&task={{task_id}}"
    service = make_service(
        **PLANTED, ORCH_LOG_LEVEL="debug", ORCH_LOG_FORMAT=style, ORCH_PIPELINE_FILE=pipeline(tmp_path / "p.json", gate),
        ORCH_PLANE_URL=sandbox.url + "/plane", ORCH_PLANE_WORKSPACE="acme", ORCH_TELEGRAM_CHAT_ID="1",
        ORCH_TELEGRAM_URL=sandbox.url + "/telegram", ORCH_UPSTREAM_TIMEOUT_S="2").start()
    headers = {"Authorization": f"Bearer {PLANTED['ORCH_API_TOKEN']}"}
    eventually(lambda: service.call("GET", "/reconcile/status", headers=headers).json()["last_run_ts"], "the first pass")
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 6)])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, 6)]},
                  gates=[{"name": "ok", "query": f"key={IN_URLS[1]}&task=1", "verdict": "green"}])
    echo = json.dumps({"message": f"bad token {PLANTED['ORCH_GITEA_TOKEN']}"})  # as a proxy may
    sandbox.fault("/gitea/*/branches/b2", "status", status=401, body=echo, content_type="application/json")
    sandbox.fault("/gitea/*/branches/b3", "status", status=500, body=echo, content_type="application/json")
    sandbox.fault("/gitea/*/branches/b4", "hang")
    run = service.call("POST", "/reconcile/run", headers=headers)
    report = run.json()
    assert {item["task_id"]: item["outcome"] for item in report["items"]} == {
        1: "advanced", 2: "unknown", 3: "unknown", 4: "unknown", 5: "unknown"}
    answers = [run, *ask_for_everything(service, headers, report["id"])]
    said = [service.log.read_text()] + [str(answer.headers) + answer.body.decode() for answer in answers]
    for arguments in (["check"], ["run", "--dry-run"], ["--help"], ["run", "--fast"]):
        done = service.command(*arguments)
        said.append(done.stdout + done.stderr)
    broken = service.command("check", ORCH_DATABASE_URL=f"postgresql://u:{IN_URLS[0]}@127.0.0.1:1/x?sslmode=no")
    said.append(broken.stdout + broken.stderr)
    broken = service.command("serve", ORCH_DATABASE_URL=f"mysql://u:{IN_URLS[0]}@h/x", ORCH_GITEA_URL=f"http://u:{IN_URLS[0]}@h")
    said.append(broken.stdout + broken.stderr)
    assert all(text.strip() for text in said)
    for secret in [*PLANTED.values(), *IN_URLS, PLANTED["ORCH_TELEGRAM_BOT_TOKEN"].split(":")[1]]:
        assert [text for text in said if secret in text] == []
