"""Whether the orchestrator gets the events that it needs: Gitea's webhooks, and a sender that is silent, are shown and announced once."""
import json

import pytest

from conftest import eventually, seed
from test_messages import settings_of, texts, messages

REPOS = ("acme/app", "acme/billing")
PROJECTS = json.dumps([{"repo": repo} for repo in REPOS])
EVERYTHING = ["push", "status", "pull_request"]


def hook(sandbox, repo, active=True, events=EVERYTHING, url="http://orchestrator.test/hook", at=None, branch_filter=""):
    sandbox.control("POST", "world", {"repos": [{"full_name": repo}]})
    call = sandbox.gitea("POST", at or f"repos/{repo}/hooks", {"type": "gitea", "active": active, "events": events, "branch_filter": branch_filter,
                                                               "config": {"url": url, "content_type": "json"}})
    assert call.status == 201, call.body


@pytest.fixture
def watching(make_service, sandbox):
    """watching(ORCH_…="…") starts a service; what it found of the webhooks when it looked with the database there."""
    def start(service=None, **more):
        service = service or make_service(**settings_of(sandbox, ORCH_PROJECTS_JSON=PROJECTS, **more))
        service.start()
        look = eventually(lambda: (service.status()["hooks"] or {}).get("losses") and service.status()["hooks"], "a look")
        return service, look
    return start


def test_good_webhooks_are_shown_and_told_to_nobody(database, sandbox, watching):
    for repo in REPOS:
        hook(sandbox, repo)
    service, look = watching()
    assert look["repos"] == {"ok": 2, "bad": 0, "unknown": 0, "why_unknown": None} and look["bad"] == []
    assert look["losses"] == {"gitea": {"tasks": 0, "silent": False}, "plane": {"tasks": 0, "silent": False}}
    assert service.end() == 0 and texts(sandbox) == []


@pytest.mark.parametrize("state,words", [("missing", "has no webhook, nor have its owner"), ("inactive", "is switched off"),
                                         ("events_missing", "does not send: status, pull_request_review, pull_request")])
def test_a_bad_webhook_is_shown_and_told_once(database, sandbox, watching, state, words):
    hook(sandbox, REPOS[0])
    if state == "missing":
        sandbox.control("POST", "world", {"repos": [{"full_name": REPOS[1]}]})
    else:
        hook(sandbox, REPOS[1], active=state != "inactive", events=["push"] if state == "events_missing" else EVERYTHING)
    service, look = watching()
    [row] = look["bad"]
    assert look["repos"]["ok"] == look["repos"]["bad"] == 1
    assert (row["repo"], row["state"]) == (REPOS[1], state) and words in row["detail"]
    [text] = messages(sandbox, 1)
    assert text.startswith(f"🔕 reconciler: {REPOS[1]}: ") and words in text
    assert service.end() == 0
    watching(service)  # looks again
    assert service.end() == 0 and len(texts(sandbox)) == 1


@pytest.mark.parametrize("at", ["orgs/Acme/hooks", "admin/hooks"])
def test_a_webhook_of_the_organization_or_of_the_server_serves_every_repository(database, sandbox, watching, at):
    sandbox.control("POST", "world", {"repos": [{"full_name": repo} for repo in REPOS]})
    hook(sandbox, REPOS[0], at=at)
    service, look = watching()
    assert look["repos"] == {"ok": 2, "bad": 0, "unknown": 0, "why_unknown": None} and look["bad"] == []
    assert service.end() == 0 and texts(sandbox) == []


@pytest.mark.parametrize("path,words", [("/gitea/api/v1/orgs/acme/hooks", "webhooks of organization acme"), ("/gitea/api/v1/admin/hooks", "system webhooks")])
def test_a_webhook_is_not_missing_where_others_cannot_be_read(database, sandbox, watching, path, words):
    sandbox.control("POST", "world", {"repos": [{"full_name": repo} for repo in REPOS]})
    sandbox.fault(path, "status", status=403, body='{"message":"no"}')
    service, look = watching()
    assert look["repos"]["unknown"] == 2 and look["bad"] == []
    assert words in look["repos"]["why_unknown"] and "cannot be read" in look["repos"]["why_unknown"]
    assert service.status()["upstreams"]["gitea"]["ok"] is True
    assert service.end() == 0 and texts(sandbox) == []


@pytest.mark.parametrize("version", ["1.22.6", "10.0.0+gitea-1.22.0"])
def test_a_gitea_without_the_event_status_is_named_once_and_no_repository_is_bad(database, sandbox, watching, version):
    sandbox.control("POST", "gitea", {"version": version})
    for repo in REPOS:
        hook(sandbox, repo)
    service, look = watching()
    assert look["repos"] == {"ok": 2, "bad": 0, "unknown": 0, "why_unknown": None} and look["without_status"] == version
    assert service.end() == 0 and texts(sandbox) == []
    assert service.log.read_text().count("CI is polled") == 1


def test_a_branch_filter_that_drops_a_tasks_branch_is_named(database, sandbox, watching):
    service, look = watching()  # makes the tables
    assert service.end() == 0
    seed(database, {"id": 1, "stage": "analysis", "branch": "feature/ORCH-7", "repo": REPOS[0]})
    hook(sandbox, REPOS[0], branch_filter="{main,release/*}")
    hook(sandbox, REPOS[1], branch_filter="*")
    service, look = watching(service)
    [row] = look["bad"]
    assert (row["repo"], row["state"]) == (REPOS[0], "filtered")
    assert '"{main,release/*}"' in row["detail"] and row["detail"].endswith("drops the pushes of feature/ORCH-7")
    assert service.end() == 0


def test_a_webhook_that_goes_elsewhere_is_shown_by_its_host_alone(database, sandbox, watching):
    hook(sandbox, REPOS[0], url="https://u:p@orchestrator.test/webhook/gitea/?x=1")
    hook(sandbox, REPOS[1], url="https://chat.test/hooks/T0ps3cret")
    service, look = watching(ORCH_ORCHESTRATOR_URL="http://orchestrator.test")
    assert look["repos"]["ok"] == 1 and [row["state"] for row in look["bad"]] == ["elsewhere"]
    assert look["bad"][0]["detail"] == "no webhook goes to the orchestrator at orchestrator.test, but to chat.test"
    messages(sandbox, 1)
    assert service.end() == 0
    assert "T0ps3cret" not in service.log.read_text() + repr(texts(sandbox)) + json.dumps(look)


def test_a_token_that_may_not_see_them_is_told_to_nobody(database, sandbox, watching):
    for repo in REPOS:
        hook(sandbox, repo)
    sandbox.fault("/gitea/*/hooks", "status", status=403, body='{"message":"user should be an admin"}')
    service, look = watching()
    assert look["repos"]["unknown"] == 2 and "403" in look["repos"]["why_unknown"] and look["bad"] == []
    assert service.status()["upstreams"]["gitea"]["ok"] is True
    assert service.end() == 0 and texts(sandbox) == []


@pytest.mark.parametrize("muted", [{"ORCH_RECONCILE_MODE": "observe"}, {"ORCH_RECONCILE_ENABLED": "false"},
                                   {"ORCH_RECONCILE_NOTIFY_UNBLOCK": "false"}])
def test_what_may_write_or_tell_nothing_shows_it_alone(database, sandbox, watching, muted):
    sandbox.control("POST", "world", {"repos": [{"full_name": repo} for repo in REPOS]})
    service, _ = watching()  # makes the tables, and sends
    assert service.end() == 0
    database.script("DELETE FROM reconcile_outbox")
    before = len(texts(sandbox))
    quiet, look = watching(**muted)
    assert look["repos"]["bad"] == 2 and database.query("SELECT count(*) FROM reconcile_outbox") == [(0,)]
    assert quiet.end() == 0 and len(texts(sandbox)) == before


def test_a_hanging_gitea_delays_neither_a_pass_nor_the_end(database, sandbox, watching, make_service):
    for repo in REPOS:
        hook(sandbox, repo)
    sandbox.fault("/gitea/*/hooks", "hang")
    service = make_service(**settings_of(sandbox, ORCH_PROJECTS_JSON=PROJECTS, ORCH_UPSTREAM_TIMEOUT_S="60")).start()
    eventually(lambda: service.status()["last_run_ts"])
    sandbox.hanging(2)
    sandbox.world({"full_name": "acme/app", "branches": [{"name": "b1", "statuses": "success"}]})
    seed(database, {"id": 1, "stage": "development"})
    assert service.run()["gate"]["advanced"] == 1 and service.status()["hooks"] is None
    assert service.end() == 0


def test_a_source_is_silent_when_its_events_are_lost_again_and_again(database, sandbox, watching):
    for repo in REPOS:
        hook(sandbox, repo)
    service, _ = watching()
    seed(database, *[{"id": id, "stage": "development"} for id in (1, 2, 3)])
    sandbox.world({"full_name": "acme/app", "branches": [{"name": f"b{id}", "statuses": "success"} for id in (1, 2, 3)]})
    assert service.run()["gate"]["advanced"] == 3
    heals = messages(sandbox, 3)
    assert service.end() == 0
    service, look = watching(service)
    assert look["losses"]["gitea"] == {"tasks": 3, "silent": False}  # one outage may lose as many at once
    assert service.end() == 0
    database.script(f"UPDATE reconcile_ledger SET at = {database.ago(1000)} WHERE task_id = 1")
    service, look = watching(service)
    assert look["losses"] == {"gitea": {"tasks": 3, "silent": True}, "plane": {"tasks": 0, "silent": False}}
    [text] = [text for text in messages(sandbox, len(heals) + 1) if text.startswith("🔕")]
    assert "gitea were lost for 3 tasks" in text
    assert service.end() == 0
