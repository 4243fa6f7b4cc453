"""Starting, not starting, and the commands: exit status, one line per problem, and no secret anywhere."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from conftest import ENVIRONMENT, RECONCILED, ROOT, call, die_with_the_tests, dump, eventually, outcomes, reconciled, seed, stages
from test_day import free_port
from test_heal import branch

SECRETS = ("ORCH_API_TOKEN", "ORCH_GITEA_TOKEN", "ORCH_PLANE_API_TOKEN", "ORCH_TELEGRAM_BOT_TOKEN", "ORCH_ORCHESTRATOR_TOKEN",
           "ORCH_PLANE_WEBHOOK_SECRET", "ORCH_GITEA_WEBHOOK_SECRET")
COMMANDS = ("serve", "run", "check", "migrate")

BAD_SETTINGS = [
    ("ORCH_RECONCILE_ENABLED", "maybe"), ("ORCH_RECONCILE_PLANE_ENABLED", "2"), ("ORCH_RECONCILE_MODE", "sleep"),
    ("ORCH_RECONCILE_INTERVAL_S", "0"), ("ORCH_RECONCILE_INTERVAL_S", "1.5"), ("ORCH_RECONCILE_INTERVAL_S", "99999999999999999999"),
    ("ORCH_RECONCILE_GRACE_DEFAULT_S", "-1"), ("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "[]"),
    ("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", "{"), ("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", '{"development":"long"}'),
    ("ORCH_RECONCILE_GRACE_OVERRIDES_JSON", '{"polishing":5}'), ("ORCH_RECONCILE_MAX_HEALS_PER_PASS", "many"),
    ("ORCH_RECONCILE_NOTIFY_UNBLOCK", "yes please"), ("ORCH_RECONCILE_ENABLD", "false"), ("ORCH_DATABASE_URL", "mysql://h/d"),
    ("ORCH_HTTP_LISTEN", "8787"), ("ORCH_HTTP_LISTEN", "127.0.0.1:99999"), ("ORCH_GITEA_URL", "ftp://git.example.com"),
    ("ORCH_GITEA_URL", "https://ann:pass@git.example.com"), ("ORCH_GITEA_TOKEN", "two words"), ("ORCH_PROJECTS_JSON", '[{"repo":"app"}]'),
    ("ORCH_PROJECTS_JSON", "{}"), ("ORCH_PLANE_STATES_JSON", '{"approved":5}'), ("ORCH_UPSTREAM_TIMEOUT_S", "0"),
    ("ORCH_UPSTREAM_CONCURRENCY", "257"), ("ORCH_LOG_LEVEL", "loud"), ("ORCH_LOG_FORMAT", "xml"),
    ("ORCH_GITEA_TOKEN_FILE", "/no/such/file"),
]


def lines(text):
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("name,value", BAD_SETTINGS)
def test_a_bad_setting_stops_the_start_and_is_named(name, value, tmp_path):
    done = reconciled("serve", environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                                            name: value})
    assert done.returncode == 2 and done.stdout == ""
    assert len(lines(done.stderr)) == 1 and done.stderr.startswith("reconciled: ORCH_") and name in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_problem_has_one_line(command, tmp_path):
    bad = {"ORCH_RECONCILE_MODE": "sleep", "ORCH_LOG_LEVEL": "loud", "ORCH_GITEA_URL": "ftp://git.example.com"}
    done = reconciled(command, environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", **bad})
    printed = lines(done.stderr if command != "check" else done.stdout)
    assert done.returncode == (1 if command == "check" else 2)
    assert len(printed) == 3 and all(sum(name in line for line in printed) == 1 for name in bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ORCH_API_TOKEN_FILE", "ORCH_PIPELINE_FILE", "ORCH_CA_FILE", "ORCH_TLS_CERT_FILE"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(name, tmp_path):
    pipe, unix = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(unix))
        for path in pipe, unix, "/dev/zero":
            more = {"ORCH_TLS_KEY_FILE": str(path)} if "TLS" in name else {}
            done = reconciled("serve", environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", name: str(path), **more})
            assert done.returncode == 2 and "cannot be read: it is no regular file" in done.stderr, done.stderr
            assert name in done.stderr or str(path) in done.stderr


def test_a_closed_standard_descriptor_is_not_used_for_another_file(database, make_service):
    """The links can be read by root alone: the process does not show its memory to its user."""
    service = make_service(ORCH_HTTP_LISTEN=f"127.0.0.1:{free_port()}")
    service.log.touch()
    service.address = service.environment["ORCH_HTTP_LISTEN"]
    service.process = subprocess.Popen(["sh", "-c", 'exec "$0" serve <&- >&- 2>&-', RECONCILED], env=service.environment,
                                       preexec_fn=die_with_the_tests)

    def is_ready():
        with contextlib.suppress(ConnectionError):
            return service.call("GET", "/readyz").status == 200
    eventually(is_ready, "readiness")
    if os.geteuid() == 0:
        assert [os.readlink(f"/proc/{service.process.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    assert service.end() == 0
    for closed, status in (("<&- 2>&-", 0), (">&-", 1)):
        done = subprocess.run(["sh", "-c", f'exec "$0" --help {closed}', RECONCILED], capture_output=True, timeout=60)
        assert done.returncode == status


def test_no_character_that_is_not_seen_is_printed(database, sandbox, tmp_path):
    hidden = "\u202e\u2028\u2066"
    odd = tmp_path / f"a{hidden}b.pem"
    runs = [(("serve",), {"ORCH_CA_FILE": str(odd)}), (("check",), {"ORCH_CA_FILE": str(odd)}), (("check",), {f"ORCH_GITEA_TOKN{hidden[0]}": "x"}),
            (("check",), {"ORCH_TLS_CERT_FILE": str(odd), "ORCH_TLS_KEY_FILE": str(odd)}), (("run", f"--{hidden}\x1b[31m"), {}), ((hidden,), {}),
            (("migrate",), {"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/{hidden}.db"}),
            (("migrate",), {"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/{hidden}/x.db"})]
    for arguments, settings in runs:
        done = program(database, sandbox, *arguments, **settings)
        assert done.stdout + done.stderr and not any(c in done.stdout + done.stderr for c in hidden + "\x1b"), (arguments, settings)


def test_what_is_probably_meant_otherwise_is_warned_about(database, sandbox, make_service):
    odd = {"ORCH_GITEA_TOKN": "x", "orch_plane_url": "x", "ORCH_PROJECTS_JSON_FILE": "x", "ORCH_TELEGRAM_CHAT_ID": "'-100'"}
    service = make_service(**odd).start()
    eventually(lambda: all(f"settings reason=\"{name}: " in service.log.read_text().replace('msg=', '') for name in odd))
    printed = service.command("check").stdout
    assert all(f"settings  warning: {name}: " in printed for name in odd), printed
    assert "ORCH_GITEA_TOKN: there is no such setting; did you mean ORCH_GITEA_TOKEN?" in printed
    bad = reconciled("serve", environment={"ORCH_PLANE_URL": "http://plane", "ORCH_PLANE_API_TOKEN": "x", "ORCH_PLAN_WORKSPACE": "x"})
    assert bad.returncode == 2 and "warning: ORCH_PLAN_WORKSPACE: there is no such setting; did you mean ORCH_PLANE_WORKSPACE?" in bad.stderr


BAD_PIPELINES = [
    ("{", "line 1"), ("[]", "object"), ('{"stages":[]}', "stages"),
    ('{"stages":[{"name":"a","next":"shipping"},{"name":"z","terminal":true}]}', "stage a: next names no stage: shipping"),
    ('{"stages":[{"name":"a","next":"a"},{"name":"z","terminal":true}]}', "stage a"),
    ('{"stages":[{"name":"a","next":"z"},{"name":"z","terminal":true},{"name":"lost","next":"z"}]}', "stage lost"),
    ('{"stages":[{"name":"a","next":"z","gates":[{"kind":"magic"}]},{"name":"z","terminal":true}]}', "stage a, gate 1"),
    ('{"stages":[{"name":"a","next":"z","gates":[{"kind":"files"}]},{"name":"z","terminal":true}]}', "stage a, gate 1"),
    ('{"stages":[{"name":"a","next":"z","gates":[{"kind":"human"},{"kind":"ci"}]},{"name":"z","terminal":true}]}', "stage a"),
    ('{"stages":[{"name":"a","next":"z","on_rejected":"no"},{"name":"z","terminal":true}]}', "stage a: on_rejected"),
    ('{"stages":[{"name":"a","next":"z"},{"name":"a","next":"z"},{"name":"z","terminal":true}]}', "stage called a"),
    ('{"stages":[{"name":"a","next":"z","colour":"red"},{"name":"z","terminal":true}]}', "colour"),
]


@pytest.mark.parametrize("text,words", BAD_PIPELINES)
def test_a_bad_pipeline_stops_the_start_naming_stage_and_reason(text, words, tmp_path):
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text(text)
    done = reconciled("serve", environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                                            "ORCH_PIPELINE_FILE": str(pipeline)})
    assert done.returncode == 2 and words in done.stderr
    assert all(line.startswith("reconciled: ") for line in lines(done.stderr))
    assert list(tmp_path.iterdir()) == [pipeline]


@pytest.mark.parametrize("n", [32, 100])
def test_too_few_open_files_are_named_with_the_number_that_is_needed(tmp_path, n):
    done = subprocess.run(["prlimit", f"--nofile={n}:{n}", RECONCILED, "serve"], capture_output=True, text=True, timeout=60, preexec_fn=die_with_the_tests,
                          env={**ENVIRONMENT, "ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", "ORCH_HTTP_LISTEN": "127.0.0.1:0"})
    [line] = lines(done.stderr)
    assert done.returncode == 2 and re.search(rf"the limit of open files is {n}, and the service needs 1[3-9]\d ", line)


def test_the_open_files_that_are_named_are_enough(tmp_path):
    with subprocess.Popen(["prlimit", "--nofile=144:144", RECONCILED, "serve"], stderr=subprocess.PIPE, text=True, preexec_fn=die_with_the_tests,
                          env={**ENVIRONMENT, "ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db", "ORCH_HTTP_LISTEN": "127.0.0.1:0"}) as process:
        address = next(match.group(1) for line in process.stderr if (match := re.search(r"msg=listening addr=(\S+)", line)))
        assert call(address, "GET", "/healthz").status == 200 and call(address, "GET", "/reconcile/status").status == 200
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_no_core_is_dumped_of_a_process_that_holds_secrets(make_service):
    service = make_service().start()
    limits = pathlib.Path(f"/proc/{service.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert service.end() == 0


def test_an_address_of_others_needs_a_token(tmp_path):
    done = reconciled(environment={"ORCH_HTTP_LISTEN": "0.0.0.0:0", "ORCH_DATABASE_URL": f"sqlite:{tmp_path}/tasks.db"})
    assert done.returncode == 2 and "ORCH_API_TOKEN" in done.stderr


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_port_that_is_taken_is_told(service):
    done = service.command("serve", ORCH_HTTP_LISTEN=service.address)
    assert done.returncode == 1 and "ORCH_HTTP_LISTEN" in done.stderr


@pytest.mark.parametrize("arguments", [("fly",), ("run", "--nope"), ("run", "--side", "left"), ("run", "--task"),
                                       ("serve", "now"), ("check", "--dry-run"), ("--nope",)])
def test_wrong_usage_says_how_to_use_it(arguments):
    done = reconciled(*arguments, environment={})
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"reconciled: .+ \(see reconciled ([a-z]+ )?--help\)\n", done.stderr)


def test_help_lists_every_setting_and_version_is_one_line():
    assert "usage: reconciled" in reconciled("--help", environment={}).stdout
    printed = reconciled("--help", "settings", environment={})
    assert printed.returncode == 0 and printed.stderr == ""
    names = set(re.findall(r"^  (ORCH_[A-Z_]+)", printed.stdout, re.M))
    readme = (ROOT / "README.md").read_text()
    assert names == set(re.findall(r"^\| `(ORCH_[A-Z_]+)`", readme, re.M)) and len(names) > 25
    version = reconciled("--version", environment={})
    assert version.returncode == 0 and re.fullmatch(r"reconciled \d+\.\d+\.\d+\n", version.stdout)


def test_help_works_with_bad_settings():
    assert reconciled("--help", environment={"ORCH_LOG_LEVEL": "loud"}).returncode == 0


# ---- run, check, migrate ----


def program(database, sandbox, *arguments, **settings):
    return reconciled(*arguments, environment={"ORCH_DATABASE_URL": database.url, "ORCH_GITEA_URL": sandbox.url + "/gitea", **settings})


def test_migrate_makes_the_tables_once(database, sandbox):
    first, second = program(database, sandbox, "migrate"), program(database, sandbox, "migrate")
    assert first.returncode == 0 and "created" in first.stdout and {"tasks", "jobs", "reconcile_ledger"} <= set(database.tables())
    assert second.returncode == 0 and "nothing was missing" in second.stdout


def test_migrate_and_check_count_what_they_see(database, sandbox):
    first, second = program(database, sandbox, "migrate"), program(database, sandbox, "migrate")
    assert "0 tasks, 0 jobs, 0 stuck" in first.stdout and "warning: there was no table tasks and jobs" in first.stderr
    assert second.stderr == ""
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review", "job": "running"})
    for command in ("migrate", "check"):
        done = program(database, sandbox, command)
        assert "2 tasks, 1 job, 1 stuck" in done.stdout and database.kind in done.stdout


def test_check_warns_where_the_tables_are_not(database, sandbox):
    database.script("CREATE TABLE other (id int)")
    done = program(database, sandbox, "check")
    assert done.returncode == 1
    assert any(line.startswith(f"database  at: {database.kind}") for line in lines(done.stdout))
    assert any("warning: there was no table tasks and jobs" in line for line in lines(done.stdout))


def test_every_missing_column_is_named_with_the_statement_that_adds_it(database, sandbox):
    program(database, sandbox, "migrate")
    database.script("DROP INDEX reconcile_tasks_branch;" if database.kind == "sqlite" else "")
    for column in ("title", "branch"):
        database.script(f"ALTER TABLE tasks DROP COLUMN {column}")
    done = program(database, sandbox, "check")
    found = re.search("missing: tasks.title, tasks.branch; right would be: (ALTER TABLE tasks ADD COLUMN title [^;\n]*)", done.stdout)
    assert done.returncode == 1 and found, done.stdout
    for part in found[1].strip().removeprefix("ALTER TABLE tasks ").split(", "):
        database.script(f"ALTER TABLE tasks {part}")
    assert program(database, sandbox, "check").returncode == 0


def test_a_table_of_ours_that_is_missing_is_made_by_migrate(database, sandbox):
    program(database, sandbox, "migrate")
    database.script("DROP TABLE reconcile_leases")
    done = program(database, sandbox, "check")
    assert done.returncode == 1 and "missing: reconcile_leases; right would be: reconciled migrate" in done.stdout, done.stdout


def test_check_names_each_recommended_index_that_is_missing(database, sandbox):
    program(database, sandbox, "migrate")
    for name in ("tasks_stage", "tasks_repo", "tasks_work_item", "jobs_one_active"):
        database.script(f"DROP INDEX reconcile_{name}")
    warned = re.findall("warning: an index is missing, so that passes are slow: (.*)", program(database, sandbox, "check").stdout)
    assert len(warned) == 4
    for n, statement in enumerate(warned):
        database.script(statement)
        assert program(database, sandbox, "check").stdout.count("an index is missing") == 3 - n


def test_run_makes_one_pass_and_prints_its_report(database, sandbox):
    program(database, sandbox, "migrate")
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"}, {"id": 3, "stage": "development", "age": 60})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "failure"), branch("b3", "success")]})
    before = dump(database)
    dry = program(database, sandbox, "run", "--dry-run")
    assert dry.returncode == 0 and outcomes(json.loads(dry.stdout)) == {1: "advanced", 2: "red"}
    assert dump(database) == before
    one = program(database, sandbox, "run", "--task", "3", "--ignore-grace")
    assert one.returncode == 0 and outcomes(json.loads(one.stdout)) == {3: "advanced"}
    before = dump(database)
    for more in ([], ["--dry-run"]):
        none = program(database, sandbox, "run", "--task", "4", *more)
        assert (none.returncode, none.stdout) == (1, "") and none.stderr.splitlines()[-1] == "reconciled: there is no task 4"
    assert dump(database) == before
    done = program(database, sandbox, "run", "--side=gate")
    assert done.returncode == 0 and json.loads(done.stdout)["trigger"] == "command"
    assert stages(database) == {1: "review", 2: "development", 3: "review"}
    assert program(database, sandbox, "run", ORCH_RECONCILE_ENABLED="false").returncode == 3


def test_run_reports_a_database_that_is_not_there(tmp_path, sandbox):
    done = reconciled("run", environment={"ORCH_DATABASE_URL": f"sqlite:{tmp_path}/no/such/folder/tasks.db"})
    assert done.returncode == 1 and "cannot be opened" in done.stderr


def test_a_run_that_is_switched_off_says_by_whom(database, sandbox, service):
    service.put(enabled=False, by="ann", reason="moving Gitea")
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    done = service.command("run")
    assert done.returncode == 3 and done.stdout == "" and "ann" in done.stderr and "moving Gitea" in done.stderr
    assert stages(database) == {1: "development"}


def test_check_says_in_one_line_each_how_everything_is(database, sandbox):
    program(database, sandbox, "migrate")
    good = program(database, sandbox, "check")
    assert good.returncode == 0
    assert [line.split()[:2] for line in lines(good.stdout)] == [
        ["settings", "ok"], ["pipeline", "ok:"], ["database", "ok:"], ["gitea", "ok"], ["plane", "off:"], ["telegram", "off:"],
        ["notify", "off:"], ["webhooks", "off:"]]
    sandbox.world({"full_name": "acme/app"})
    sandbox.fault("/gitea", "status", status=502, html="<p>bad gateway")
    bad = program(database, sandbox, "check", ORCH_PROJECTS_JSON='[{"repo":"acme/app"}]', ORCH_LOG_LEVEL="debug")
    assert bad.returncode == 1 and "gitea     BAD: acme/app: answered 502" in bad.stdout
    assert program(database, sandbox, "check", ORCH_LOG_LEVEL="loud").returncode == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["", "/gitea/api/v1", "/gitea/acme/app"])
def test_check_blames_a_wrong_url_of_gitea_and_no_repository(database, sandbox, path):
    program(database, sandbox, "migrate")
    sandbox.world({"full_name": "acme/app"})
    bad = program(database, sandbox, "check", ORCH_GITEA_URL=sandbox.url + path, ORCH_PROJECTS_JSON='[{"repo":"acme/app"}]')
    assert bad.returncode == 1
    assert f"gitea     BAD: ORCH_GITEA_URL is not Gitea's: {sandbox.url}{path}/api/v1/version: answered 404" in bad.stdout
    assert "acme/app: " not in bad.stdout and "GITEA_TOKEN" not in bad.stdout


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_check_takes_no_page_for_an_upstream(database, sandbox):
    program(database, sandbox, "migrate")
    page = {"status": 200, "body": "<title>Sign in</title>", "content_type": "text/html"}
    for path in ("/gitea", "/telegram"):
        sandbox.fault(path, "status", **page)
    bad = program(database, sandbox, "check", ORCH_TELEGRAM_URL=f"{sandbox.url}/telegram", ORCH_TELEGRAM_BOT_TOKEN="1:abc",
                  ORCH_TELEGRAM_CHAT_ID="1")
    assert bad.returncode == 1 and "gitea     BAD: ORCH_GITEA_URL is not Gitea's" in bad.stdout
    assert "telegram  BAD: getMe: answered 200 (text/html), which is not the API's; is ORCH_TELEGRAM_URL right?" in bad.stdout


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_check_names_a_dead_proxy_and_its_variable(database, sandbox):
    program(database, sandbox, "migrate")
    bad = program(database, sandbox, "check", ORCH_PROJECTS_JSON='[{"repo":"acme/app"}]', http_proxy="http://ann:geheim@127.0.0.1:1")
    assert bad.returncode == 1 and "geheim" not in bad.stdout + bad.stderr
    assert "gitea     BAD: acme/app: the proxy 127.0.0.1:1 (http_proxy): connection refused" in bad.stdout


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_check_asks_about_each_repository_though_others_hang(database, sandbox):
    program(database, sandbox, "migrate")
    hung = [f"acme/hung{at}" for at in range(10)]
    sandbox.world(*[{"full_name": repo} for repo in hung])
    sandbox.fault("/gitea/api/v1/repos/acme/hung*", "hang")
    projects = json.dumps([{"repo": repo} for repo in [*hung, "acme/gone"]])
    bad = program(database, sandbox, "check", ORCH_PROJECTS_JSON=projects, ORCH_UPSTREAM_TIMEOUT_S="3")
    assert bad.returncode == 1 and "gitea     BAD: acme/gone: answered 404" in bad.stdout, bad.stdout
    for repo in hung:
        assert sandbox.asked(f"GET /gitea/api/v1/repos/{repo}*") == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_check_finds_the_states_of_plane_that_are_not_there(database, sandbox):
    program(database, sandbox, "migrate")
    project = "5f1c2f0e-3c55-4e1b-9d0e-2a64b1d8a001"
    sandbox.control("POST", "plane", {"projects": [{"identifier": "SHOP", "id": project}]})
    plane = {"ORCH_PLANE_URL": sandbox.url + "/plane", "ORCH_PLANE_API_TOKEN": "k", "ORCH_PLANE_WORKSPACE": "acme",
             "ORCH_GITEA_URL": ""}
    named = {**plane, "ORCH_PROJECTS_JSON": json.dumps([{"repo": "acme/app", "plane_project_id": project, "prefix": "SHOP"}])}
    good = program(database, sandbox, "check", **named)
    assert good.returncode == 0 and "\nplane     ok\n" in good.stdout
    cases = [({**named, "ORCH_PLANE_STATES_JSON": '{"approved":"Blessed"}'}, "acme/app: .*Blessed"),
             ({**named, "ORCH_PLANE_WORKSPACE": "elsewhere"}, "acme/app: .*403")]
    for settings, words in cases:
        bad = program(database, sandbox, "check", **settings)
        assert bad.returncode == 1 and re.search(rf"^plane     BAD: .*{words}", bad.stdout, re.M), bad.stdout
    assert "plane     off: no project" in program(database, sandbox, "check", **plane).stdout


# ---- secrets ---- (22)


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_secret_leaves(database, sandbox, make_service, tmp_path, from_file):
    planted = {name: f"Pl4nted-{at}-s3cret" for at, name in enumerate(SECRETS)}
    settings = dict(planted)
    if from_file:
        for name in SECRETS:
            (tmp_path / name).write_text(settings.pop(name) + "\n")
            settings[name + "_FILE"] = str(tmp_path / name)
    sandbox.control("POST", "gitea", {"token": planted["ORCH_GITEA_TOKEN"]})
    service = make_service(**settings, ORCH_LOG_LEVEL="debug", ORCH_UPSTREAM_TIMEOUT_S="1", ORCH_PLANE_URL=sandbox.url + "/nowhere",
                           ORCH_PLANE_WORKSPACE="acme", ORCH_TELEGRAM_CHAT_ID="1", ORCH_TELEGRAM_URL=sandbox.url + "/nowhere")
    service.start()
    token = {"headers": {"Authorization": "Bearer " + planted["ORCH_API_TOKEN"]}}
    eventually(lambda: service.call("GET", "/reconcile/status", **token).json()["last_run_ts"])
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "success")]})
    sandbox.fault("/gitea/*/branches/b2", "status", status=500, body="")
    seen = []
    run = service.call("POST", "/reconcile/run", {"side": "gate"}, **token)
    assert outcomes(run.json()) == {1: "advanced", 2: "unknown"}  # the token was read, and sent
    seen.append(run)
    sandbox.heal()
    sandbox.control("POST", "gitea", {"token": "another"})
    seen.append(service.call("POST", "/reconcile/run", {"side": "gate"}, **token))
    assert "401" in seen[-1].json()["items"][0]["reason"]
    for path in ("/reconcile/status", "/reconcile/config", "/reconcile/runs", "/openapi.json", "/healthz", "/readyz", "/nowhere"):
        seen.append(service.call("GET", path, **token))
    seen.append(service.call("GET", "/reconcile/status", headers={"Authorization": "Bearer wrong"}))
    text = b"".join(answer.body + repr(answer.headers).encode() for answer in seen).decode()
    for arguments in (("check",), ("--help", "settings"), ("status",), ("run", "--dry-run"), ("serve",), ("migrate",)):
        done = service.command(*arguments, ORCH_HTTP_LISTEN=service.address)
        text += done.stdout + done.stderr
    text += service.command("serve", ORCH_LOG_LEVEL="loud").stderr + repr(dump(database)) + service.log.read_text()
    assert not [secret for secret in planted.values() if secret in text]
    assert "Pl4nted" not in text


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_password_of_the_database_leaves(database, make_service):
    host = f"127.0.0.1:{database.server.port}"
    service = make_service(ORCH_DATABASE_URL=f"postgresql://postgres:Pl4nted-s3cret@{host}/e2e?application_name=x", ORCH_LOG_LEVEL="debug")
    service.start()
    eventually(lambda: service.status()["last_run_ts"])
    text = service.log.read_text() + service.call("GET", "/reconcile/config").body.decode() + service.call("GET", "/readyz").body.decode()
    wrong = f"postgresql://stranger:Pl4nted-s3cret@{host}/nosuch?sslpassword=Pl4nted"
    for url in (service.environment["ORCH_DATABASE_URL"], wrong, "postgresql://ann:Pl4nted-s3cret@127.0.0.1:1/e2e", "mysql://ann:Pl4nted@h/d",
                "postgresql://ann:Pl4nted-s3cret@host:port/x"):
        for command in ("check", "run", "migrate"):
            done = service.command(command, ORCH_DATABASE_URL=url)
            text += done.stdout + done.stderr
    assert host in text and "Pl4nted" not in text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_secret_may_come_from_a_file(make_service, tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    service = make_service(ORCH_API_TOKEN_FILE=str(tmp_path / "token")).start()
    assert service.call("GET", "/reconcile/status").status == 401
    assert service.call("GET", "/reconcile/status", headers={"Authorization": "Bearer from-a-file"}).status == 200
    assert service.call("GET", "/healthz").status == 200
