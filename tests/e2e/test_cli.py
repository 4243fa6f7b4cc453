"""The commands that talk to the running service, as a person and as a script use them."""
import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from conftest import DEADLINE_S, RECONCILED, help_of_commands, reconciled, seed, stages

on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def ask(service, *arguments, status=0, **settings):
    """A command beside the service; its standard output."""
    done = service.command(*arguments, ORCH_HTTP_LISTEN=service.address, **settings)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert (done.stderr == "") == (status == 0), done.stderr
    return done.stdout


def refused(status, *arguments, environment=None):
    """The one line of a command that does nothing."""
    done = reconciled(*arguments, environment=environment or {})
    assert done.returncode == status and done.stdout == "", (done.returncode, done.stdout, done.stderr)
    assert done.stderr.startswith("reconciled: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr[len("reconciled: "):-1]


# ---- the frame ----


def test_help_fits_a_screen():
    listed = reconciled("--help", environment={}).stdout
    assert len(listed.splitlines()) <= 40
    texts = help_of_commands()
    assert {"serve", "run", "check", "status", "tasks"} <= set(texts)
    for text in (listed, *texts.values()):
        assert max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) <= 40, text
    for name, text in texts.items():
        assert re.search(rf"^Example: .*\breconciled {name}", text, re.M)
        assert reconciled("--help", name, environment={}).stdout == text


@pytest.mark.parametrize("arguments,words", [
    (("statsu",), "there is no command statsu"), (("status", "now"), "takes no argument now"),
    (("tasks", "--stucc"), "no option --stucc"), (("tasks", "--limit", "0"), "from 1 to 1000"),
    (("tasks", "--limit", "many"), "from 1 to 1000"), (("tasks", "--stage"), "--stage needs a value"),
    (("tasks", "--stage="), "--stage needs a value"), (("status", "--limit", "1"), "no option --limit"),
    (("--help", "statsu"), "there is no command statsu"), (("help", "run", "check"), "takes no argument check")])
def test_wrong_usage_is_one_line(arguments, words):
    line = refused(2, *arguments)
    assert words in line and line.endswith("--help)")


def test_no_service_is_status_4():
    words = "no service answers at 127.0.0.1:9 (is it running? systemctl status reconciled)"
    assert refused(4, "status", environment={"ORCH_HTTP_LISTEN": "127.0.0.1:9"}) == words
    assert refused(4, "tasks", "--url", "http://127.0.0.1:9") == words
    assert "names no port" in refused(2, "status", environment={"ORCH_HTTP_LISTEN": "127.0.0.1:0"})


def test_what_is_not_the_service_is_named(sandbox):
    assert "is not reconciled: HTTP status 404" in refused(1, "status", "--url", sandbox.url)
    assert "URL" in refused(4, "status", "--url", "ftp://127.0.0.1")


@on_sqlite
def test_the_token_comes_from_the_settings_or_a_file(database, make_service, tmp_path):
    token = "0123456789abcdef0123456789abcdef"
    service = make_service(ORCH_API_TOKEN=token).start()
    assert ask(service, "status")
    url = ("--url", f"http://{service.address}")
    assert "--token-file" in refused(1, "status", *url, environment={"ORCH_API_TOKEN": token})
    (tmp_path / "token").write_text(token + "\n")
    assert reconciled("status", *url, "--token-file", str(tmp_path / "token"), environment={}).returncode == 0
    (tmp_path / "token").write_text("wrong")
    assert "token" in refused(1, "status", *url, "--token-file", str(tmp_path / "token"))
    (tmp_path / "token").write_text("two words")
    assert "holds no token" in refused(2, "status", *url, "--token-file", str(tmp_path / "token"))
    assert "No such file" in refused(2, "status", *url, "--token-file", str(tmp_path / "none"))


@on_sqlite
def test_settings_come_from_an_env_file_over_which_the_environment_wins(database, service, tmp_path):
    file = tmp_path / "reconciled.env"
    file.write_text(f"# the service\nORCH_HTTP_LISTEN=\"{service.address}\"\nORCH_DATABASE_URL='{database.url}'\n")
    assert reconciled("status", "--env-file", str(file), environment={}).returncode == 0
    assert "127.0.0.1:9" in refused(4, "status", "--env-file", str(file), environment={"ORCH_HTTP_LISTEN": "127.0.0.1:9"})
    assert reconciled("check", "--env-file", str(file), environment={}).stdout.splitlines()[0] == "settings  ok"
    assert "No such file" in refused(2, "check", "--env-file", str(tmp_path / "none"))


@pytest.mark.parametrize("status,arguments", [
    (2, ("history", "--limit=x", "\033[31m\u202e")), (2, ("status", "\033[31m\u202e")), (2, ("status", "--token-file", "/\033[31m\u202e")),
    (2, ("status", "--env-file", "/\033[31m\u202e")), (2, ("\033[31m\u202e",)), (2, ("config", "\033[31m\u202e")),
    (4, ("status", "--url", "http://127.0.0.1:9/\033[31m\u202e"))])
def test_no_character_that_is_not_seen_comes_back_from_the_line(status, arguments):
    line = refused(status, *arguments, environment={"ORCH_HTTP_LISTEN": "127.0.0.1:9"})
    assert "\033" not in line and "\u202e" not in line


# ---- status and tasks ----


def test_status_is_one_screen(database, sandbox, service):
    assert re.search(r"^Stuck +nothing$", ask(service, "status"), re.M)
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in range(1, 13)])
    sandbox.world({"full_name": "acme/app", "branches": [{"name": f"b{id}", "sha": f"{id:040x}"} for id in range(1, 13)]})
    service.run()
    screen = ask(service, "status")
    assert re.search(r"^Stuck +12 tasks, the oldest for 2 h$", screen, re.M)
    assert re.search(r"^gitea +ok$", screen, re.M) and re.search(r"^Switch +on$", screen, re.M)
    assert len(re.findall(r"^ORCH-\d+ ", screen, re.M)) == 10 and "There are more: reconciled tasks --stuck" in screen
    assert max(map(len, screen.splitlines())) <= 80 and "\033" not in screen
    service.put(enabled=False, by="ann", reason="moving Gitea")
    assert re.search(r"^Switch +off by ann: moving Gitea$", ask(service, "status"), re.M)
    assert json.loads(ask(service, "status", "--json"))["pause"]["by"] == "ann"


def test_tasks_are_listed_and_filtered(database, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review", "repo": "acme/shop", "age": 5},
         {"id": 3, "stage": "testing", "job": "running"}, {"id": 4, "stage": "done"})
    assert re.findall(r"^ORCH-(\d) .*? (stuck|running|-) ", ask(service, "tasks"), re.M) == [
        ("1", "stuck"), ("3", "running"), ("2", "-")]
    for arguments, ids in ((["--stuck"], "1"), (["--stage", "testing"], "3"), (["--repo=acme/shop"], "2"), (["--limit", "1"], "1"),
                           (["orch-2"], "2"), (["--stage", "testing", "B3"], "3")):
        assert re.findall(r"^ORCH-(\d)", ask(service, "tasks", *arguments), re.M) == list(ids)
    assert ask(service, "tasks", "--repo", "acme/none") == "no such task\n"
    assert ask(service, "tasks", "--limit", "1").endswith("There are more.\n")


@on_sqlite
def test_an_age_that_cannot_be_read_is_a_dash(database, service):
    seed(database, {"id": 1, "stage": "development"})
    database.script("UPDATE tasks SET updated_at = 'yesterday'")
    assert re.search(r"^ORCH-1 +#1 +development +- ", ask(service, "tasks"), re.M)


@on_sqlite
def test_json_is_the_answer_byte_for_byte(database, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review"})
    first = ask(service, "tasks", "--json", "--limit", "1", "--stage", "review")
    assert json.loads(first)["items"][0]["task_id"] == 2
    page = json.loads(ask(service, "tasks", "--json", "--limit", "1"))
    second = json.loads(ask(service, "tasks", "--json", "--after", page["next"]))
    assert len(page["items"]) == 1 and len(second["items"]) == 1 and page["items"] != second["items"]
    done = service.command("tasks", "--json", "--stage", "nowhere", "--after", "?", ORCH_HTTP_LISTEN=service.address)
    problem = json.loads(done.stdout)
    assert done.returncode == 2 and problem["status"] in (400, 422) and problem["detail"] in done.stderr


def test_more_than_a_page_is_followed(database, service):
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 1003)])
    lines = ask(service, "tasks").splitlines()
    assert len(lines) == 1 + 1000 + 1 and lines[-1] == "There are more."


def on_terminal(service, *arguments, **settings):
    """What a command prints to a terminal."""
    ours, theirs = pty.openpty()
    environment = {**service.environment, "ORCH_HTTP_LISTEN": service.address, "TERM": "xterm", **settings}
    process = subprocess.Popen([RECONCILED, *arguments], env=environment, stdout=theirs)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(30) == 0
    return text.decode()


@on_sqlite
def test_colours_are_for_terminals_that_want_them(database, service):
    seed(database, {"id": 1, "stage": "development"})
    assert "\033[31mstuck" in on_terminal(service, "tasks")
    assert "\033" not in on_terminal(service, "tasks", NO_COLOR="1")
    assert "\033" not in on_terminal(service, "tasks", TERM="dumb")


@on_sqlite
def test_texts_of_others_fit_and_steer_no_terminal(database, service):
    seed(database, {"id": 1, "stage": "development"})
    database.script("UPDATE tasks SET title = '\033]0;x\007" + "\u8868" * 60 + "'")
    shown = ask(service, "tasks").splitlines()[1]
    assert "\033" not in shown and "\007" not in shown and shown.endswith("…") and shown.count("\u8868") >= 10
    assert len(shown) + shown.count("\u8868") <= 80


@on_sqlite
def test_watch_shows_it_again_and_outlasts_a_restart(database, service):
    environment = {**service.environment, "ORCH_HTTP_LISTEN": service.address}
    with subprocess.Popen([RECONCILED, "status", "--watch", "--json"], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as watch:
        try:
            assert json.loads(watch.stdout.readline())["enabled"]
            assert service.end() == 0
            assert "no service answers at" in watch.stderr.readline()
            service.environment["ORCH_HTTP_LISTEN"] = service.address
            service.start()
            assert json.loads(watch.stdout.readline())["enabled"]
        finally:
            watch.kill()
    assert refused(4, "status", "--watch", environment={"ORCH_HTTP_LISTEN": "127.0.0.1:9"})


# ---- one task ----


def green(*ids):
    return {"full_name": "acme/app", "branches": [
        {"name": f"b{id}", "sha": f"{id:040x}", "statuses": [{"context": "ci/build", "state": "success"}]} for id in ids]}


def test_why_explains_a_task_that_is_named_in_any_way(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development", "age": 5}, {"id": 3, "stage": "done"})
    sandbox.world(green(1))
    shown = ask(service, "why", "ORCH-1")
    assert re.search(r"^Stage +development, not touched for 1 h \(grace 10 min\): stuck$", shown, re.M)
    assert re.search(r"^Verdict +green: ci: 1 of 1 contexts passed on 000000000000$", shown, re.M)
    assert "contexts ci/build success" in " ".join(shown.split())
    assert re.search(rf"^ +{sandbox.url}/gitea/acme/app/commit/{1:040x}$", shown, re.M)  # whole, so that it can be followed
    assert re.search(r"^Next +its gate is green: ", shown, re.M)
    for name in ("1", "#1", "orch-1", "ORCH-1"):
        assert json.loads(ask(service, "why", name, "--json"))["work_item_id"] == "ORCH-1"
    assert json.loads(ask(service, "why", "3", "--json"))["stage"] == "done"
    assert "there is no task ORCH-9" in ask_refused(service, 1, "why", "ORCH-9")
    assert "there is no task #99" in ask_refused(service, 1, "why", "#99")
    assert "\033" not in ask_refused(service, 1, "why", "\033[31mORCH-9")


def ask_refused(service, status, *arguments):
    return refused(status, *arguments, environment={**service.environment, "ORCH_HTTP_LISTEN": service.address})


def test_a_work_item_id_of_several_tasks_is_refused_with_their_numbers(database, service):
    seed(database, *[{"id": id, "stage": "development"} for id in (1, 2, 3, 4)])
    database.script("UPDATE tasks SET work_item_id = 'X-1' WHERE id < 3; UPDATE tasks SET work_item_id = 'x-2' WHERE id = 3")
    database.script("UPDATE tasks SET work_item_id = 'X-2' WHERE id = 4")
    line = ask_refused(service, 1, "why", "x-1")
    assert "#1 X-1 (acme/app, development)" in line and "#2 X-1" in line
    assert json.loads(ask(service, "why", "x-2", "--json"))["task_id"] == 3  # exact before any case


@on_sqlite
def test_a_work_item_id_is_looked_for_on_every_page(database, service):
    seed(database, *[{"id": id, "stage": "development", "age": 5000 - id} for id in range(1, 1103)])
    assert json.loads(ask(service, "why", "orch-1102", "--json"))["task_id"] == 1102


def test_history_shows_what_was_moved(database, sandbox, service):
    assert ask(service, "history") == "nothing was moved\n"
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world(green(1, 2))
    service.run()
    rows = ask(service, "history").splitlines()[1:]
    assert len(rows) == 2 and all(re.search(r"^\d\d:\d\d:\d\d  ORCH-\d  #\d  development → review  advanced  ci: 1", row) for row in rows)
    assert max(map(len, rows)) <= 80
    assert ask(service, "history", "ORCH-2").count("ORCH-2") == 1 and "ORCH-1" not in ask(service, "history", "2")
    assert len(json.loads(ask(service, "history", "--json", "--limit", "1"))["items"]) == 1
    assert ask(service, "why", "1").count("development → review") == 1


# ---- what changes something ----


def test_a_day_by_commands_alone(database, sandbox, make_service):
    """check, watch, try, heal, explain, pause, resume, look back: with nothing but the program."""
    service = make_service(ORCH_RECONCILE_MODE="observe").start()
    service.become_ready()
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"}, {"id": 3, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [*green(1, 2)["branches"], {"name": "b3", "sha": f"{3:040x}"}]})
    assert "database  ok" in ask(service, "check")
    assert re.search(r"^Mode +observe: ", ask(service, "status"), re.M)
    assert re.search(r"^ORCH-1 .* development → review  held  ", ask(service, "pass", "ORCH-1"), re.M)

    assert re.search(r"^mode +heal +override by ann: trusted$", ask(service, "heal", "--by", "ann", "--reason", "trusted"), re.M)
    tried = ask(service, "pass", "--dry-run")
    assert re.search(r"^Gates +3 candidates, 2 advanced, 1 red \(dry run: nothing was written\)$", tried, re.M)
    assert stages(database) == {1: "development", 2: "development", 3: "development"}
    assert re.search(r"^ORCH-1 .* development → review  advanced  ci: 1 of 1", ask(service, "pass", "orch-1"), re.M)
    assert stages(database) == {1: "review", 2: "development", 3: "development"}
    assert re.search(r"^Verdict +red: ci: no status yet", ask(service, "why", "ORCH-3"), re.M)

    paused = ask(service, "pause", "--reason", "moving Gitea", "--by", "ann", "--for", "2h")
    assert re.search(r"^enabled +false +override by ann until .+: moving Gitea$", paused, re.M)
    assert "switched off by ann until" in ask_refused(service, 3, "pass")
    assert re.search(r"^Gates +2 candidates, 1 advanced", ask(service, "pass", "--dry-run", "--ignore-grace", "--side", "gate"), re.M)
    assert re.search(r"^Held +switched off by ann until ", ask(service, "why", "ORCH-2"), re.M)
    assert re.search(r"^Switch +off by ann until .+: moving Gitea$", ask(service, "status"), re.M)
    assert re.search(r"^enabled +true +default$", ask(service, "resume"), re.M)

    ask(service, "pass")
    assert stages(database) == {1: "review", 2: "review", 3: "development"}
    assert [row.split()[1] for row in ask(service, "history").splitlines()[1:]] == ["ORCH-2", "ORCH-1"]


@on_sqlite
def test_pause_and_resume_of_the_plane_side_alone(database, service):
    ask(service, "pause", "--plane", "--reason", "Plane is moved")
    assert (service.status()["enabled"], service.status()["plane_enabled"]) == (True, False)
    assert service.call("GET", "/reconcile/config").json()["sources"]["plane_enabled"]["by"]  # the login name
    assert ask_refused(service, 3, "pass", "--side", "plane")
    ask(service, "resume", "--plane")
    assert service.status()["plane_enabled"]


@on_sqlite
def test_resume_does_not_hide_that_the_environment_is_off(database, make_service):
    service = make_service(ORCH_RECONCILE_ENABLED="false").start()
    service.become_ready()
    done = service.command("resume", ORCH_HTTP_LISTEN=service.address)
    assert done.returncode == 1 and "the environment switches it off" in done.stderr


@on_sqlite
def test_settings_are_shown_set_and_dropped(database, service):
    assert re.search(r"^interval_s +86400 +environment$", ask(service, "config"), re.M)
    changed = ask(service, "config", "interval_s=30", "log_level=debug", 'grace_overrides={"review":60}', "--until", "23:59")
    assert re.search(r"^interval_s +30 +override by .+ until ", changed, re.M) and "grace_default_s" not in changed
    now = json.loads(ask(service, "config", "--json"))
    assert (now["interval_s"], now["log_level"], now["grace_overrides"]) == (30, "debug", {"review": 60})
    assert re.search(r"^interval_s +86400 +environment$", ask(service, "config", "interval_s="), re.M)
    assert json.loads(ask(service, "observe", "--json"))["mode"] == "observe"
    line = ask_refused(service, 2, "config", "enabld=1", "interval_s=0")
    assert "enabld is no setting" in line and "interval_s must be" in line
    assert "until" in ask_refused(service, 2, "pause", "--reason", "x", "--until", "2020-01-01T00:00:00Z")
    assert json.loads(ask(service, "config", "--json"))["enabled"]


@pytest.mark.parametrize("arguments,words", [
    (("pause",), "pause needs --reason TEXT"), (("pause", "--reason", "x", "--for", "soon"), "--for takes a duration"),
    (("pause", "--reason", "x", "--for", "1h", "--until", "18:00"), "--for and --until"),
    (("observe", "--until", "25:00"), "--until takes a time"), (("heal", "now"), "heal takes no argument now"),
    (("config", "interval_s"), "interval_s is not of the form NAME=VALUE"), (("config", "=1"), "is not of the form"),
    (("resume", "--for", "1h"), "no option --for"), (("pass", "--side", "left"), "--side is one of: gate plane both"),
    (("pass", "1", "2"), "pass takes no argument 2"), (("resolve", "acme/app"), "resolve needs REPO SHA"),
    (("why",), "why needs TASK")])
def test_wrong_usage_of_what_changes_something_asks_nothing(arguments, words):
    line = refused(2, *arguments, environment={"ORCH_HTTP_LISTEN": "127.0.0.1:9"})
    assert words in line and line.endswith("--help)")


@on_sqlite
def test_pass_fails_where_something_failed_and_names_a_task_that_is_none(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world(green(1))
    assert "99" in ask_refused(service, 1, "pass", "99")
    assert "ORCH-9" in ask_refused(service, 1, "pass", "ORCH-9")
    database.script("CREATE TRIGGER no BEFORE UPDATE ON tasks BEGIN SELECT RAISE(ABORT, 'no'); END")
    service.expected_errors.append("level=")
    shown = service.command("pass", ORCH_HTTP_LISTEN=service.address)
    assert shown.returncode == 1 and re.search(r"^ORCH-1 .*  failed  ", shown.stdout, re.M)


@on_sqlite
def test_pass_shows_on_a_terminal_that_it_lasts(database, sandbox, make_service):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="3").start()
    service.become_ready()
    seed(database, {"id": 1, "stage": "development"})
    sandbox.fault("/gitea", "hang")
    ours, theirs = pty.openpty()
    process = subprocess.Popen([RECONCILED, "pass"], env={**service.environment, "ORCH_HTTP_LISTEN": service.address},
                               stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown, _ = process.communicate(timeout=60)
    assert b"\rthe pass is under way: 1 s" in os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 0 and re.search(r"^ORCH-1 .* unknown  ", shown, re.M)


def test_resolve_names_branch_and_task(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    sandbox.world(green(1, 2))
    shown = ask(service, "resolve", "acme/app", f"{2:040x}")
    assert re.search(r"^Branch +b2$", shown, re.M) and re.search(r"^Task +ORCH-2 \(#2\), in development$", shown, re.M)
    assert json.loads(ask(service, "resolve", "acme/app", f"{1:040x}", "--json"))["method"] == "branch_head"
    line = ask_refused(service, 1, "resolve", "acme/app", f"{9:040x}")
    assert "ORCH-1 (b1)" in line and "ORCH-2 (b2)" in line
    assert "sha" in ask_refused(service, 2, "resolve", "acme/app", "xyz")
    sandbox.fault("/gitea", "status", status=500)
    assert "Gitea" in ask_refused(service, 1, "resolve", "acme/app", f"{7:040x}")


# ---- completion ----


def completed_by_bash(line):
    words = line.split(" ")
    script = (f"eval \"$({RECONCILED} completion bash)\"; compopt() {{ :; }}; COMP_WORDS=({' '.join(map(repr, words))}); "
              f"COMP_CWORD={len(words) - 1}; _reconciled; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def completed_by_fish(line):
    script = f"{RECONCILED} completion fish | source; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [offered.split("\t")[0] for offered in done.stdout.splitlines()]


@pytest.mark.parametrize("complete", [completed_by_bash, completed_by_fish])
def test_bash_and_fish_complete_commands_options_and_values(complete, tmp_path):
    assert set(help_of_commands()) <= set(complete("reconciled "))
    assert complete("reconciled sta") == ["status"]
    assert complete("reconciled tasks --st") == ["--stage", "--stuck"] or complete("reconciled tasks --st") == ["--stuck", "--stage"]
    assert sorted(complete("reconciled pass --side ")) == ["both", "gate", "plane"]
    assert complete("reconciled completion f") == ["fish"]
    (tmp_path / "token").touch()
    assert complete(f"reconciled status --token-file {tmp_path}/to") == [f"{tmp_path}/token"]


def test_zsh_completes_commands_options_and_values(tmp_path):
    (tmp_path / "_reconciled").write_text(reconciled("completion", "zsh", environment={}).stdout)
    (tmp_path / "reconciled").symlink_to(RECONCILED)
    ours, theirs = pty.openpty()
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp_path), "PS1": ""}
    shell = subprocess.Popen(["zsh", "-f", "-i"], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""

    def enter(text, awaited):
        nonlocal seen
        os.write(ours, text.encode())
        end = time.monotonic() + DEADLINE_S
        while awaited.encode() not in seen:
            assert select.select([ours], [], [], max(0, end - time.monotonic()))[0], seen
            seen += os.read(ours, 4096)
        seen = b""

    try:
        enter(f"fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste; echo rea''dy\n", "ready")
        for line, whole in (("reconciled sta", "status "), ("reconciled tasks --stu", "--stuck "),
                            ("reconciled pass --side pl", "plane "), ("reconciled completion f", "fish ")):
            enter(line + "\t", whole.removeprefix(line.split()[-1]))
            enter("\025", "")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
