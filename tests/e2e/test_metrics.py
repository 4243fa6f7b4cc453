"""The answer of GET /metrics is well-formed, true, and all that the README, the alert rules and the dashboard speak of.

PROMTOOL names Prometheus' own checker; else the one that is installed, else the one that `make setup-test` unpacked.
"""
import json
import os
import re
import shutil
import subprocess
import time

import pytest
import yaml

from conftest import ROOT, SQLite, eventually, outcomes, seed
from plane_world import Plane, seed_task

PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool") or ROOT / "build/tools/promtool"
RULES, RULES_TEST = ROOT / "docker/prometheus/rules.yml", ROOT / "docker/prometheus/rules_test.yml"
DASHBOARD = ROOT / "docker/grafana/dashboard.json"
PER_HISTOGRAM = ("_bucket", "_sum", "_count")
FROM_PROMETHEUS = {"up"}  # of the scrape itself


@pytest.fixture
def database(tmp_path):
    return SQLite(tmp_path)


# ---- reading it ----

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (-?[0-9.]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One scrape: the families with their types and help, and the samples by name and labels."""

    def __init__(self, text):
        self.text, self.types, self.help, self.samples = text, {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, word, name, rest = line.split(" ", 3)
                {"HELP": self.help, "TYPE": self.types}[word][name] = rest
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in self.samples, line
            self.samples[key] = float(value)

    def family(self, name):
        for end in PER_HISTOGRAM:
            base = name.removesuffix(end)
            if base != name and self.types.get(base) == "histogram":
                return base
        return name

    def labels(self, family):
        """The names of its labels, without a histogram's own."""
        return {label for name, labels in self.samples if self.family(name) == family for label, _ in labels} - {"le"}

    def __call__(self, name, **labels):
        return self.samples[(name, tuple(sorted(labels.items())))]


def scrape(service, **more):
    answer = service.call("GET", "/metrics", **more)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())


def promtool(*arguments, **more):
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=120, **more)


def branch(name, state):
    return {"name": name, "statuses": [{"context": "ci/build", "state": state}]}


def heal_something(database, sandbox, service):
    """Two green, one red, one that cannot be read, one in an unknown stage."""
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "testing", "age": 90000},
         {"id": 3, "stage": "development", "age": 7200}, {"id": 4, "stage": "development", "branch": "gone"},
         {"id": 5, "stage": "polishing"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "success"),
                                                         branch("b3", "failure")]})
    assert outcomes(service.run(side="both")) == {1: "advanced", 2: "advanced", 3: "red", 4: "unknown"}


# ---- what it shows ----


def test_promtool_finds_nothing_wrong_after_a_heal(database, sandbox, service):
    heal_something(database, sandbox, service)
    done = promtool("check", "metrics", input=scrape(service).text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_heal_is_counted_where_it_happened(database, sandbox, service):
    before, asked = scrape(service), sandbox.asked()
    heal_something(database, sandbox, service)
    after = scrape(service)

    def grown(name, **labels):
        return after(name, **labels) - before(name, **labels)

    assert grown("reconciled_transitions_total", outcome="advanced") == 2
    assert grown("reconciled_transitions_total", outcome="failed") == 0
    assert grown("reconciled_missed_events_total", source="gitea", event="status") == 2
    for verdict, n in {"green": 2, "red": 1, "unknown": 1}.items():
        assert grown("reconciled_gate_checks_total", kind="ci", verdict=verdict) == n
    assert grown("reconciled_time_to_heal_seconds_count") == 2
    assert grown("reconciled_time_to_heal_seconds_bucket", le="14400") == 1
    assert 93600 <= grown("reconciled_time_to_heal_seconds_sum") < 93600 + 600
    assert grown("reconciled_passes_total", trigger="request", result="done") == 1
    assert grown("reconciled_pass_duration_seconds_count") == 1
    calls = sum(grown("reconciled_upstream_requests_total", upstream="gitea", **{"class": kind}) for kind in ("2xx", "4xx"))
    assert calls == sandbox.asked("GET /gitea/*") and sandbox.asked() > asked
    assert grown("reconciled_upstream_request_duration_seconds_count", upstream="gitea") == calls
    assert after("reconciled_stuck_tasks") == 2 and 7200 <= after("reconciled_stuck_oldest_age_seconds") < 7800
    assert after("reconciled_unknown_stage_tasks") == 1
    assert grown("reconciled_http_requests_total", route="/reconcile/run", **{"class": "2xx"}) == 1
    assert abs(time.time() - after("reconciled_last_pass_timestamp_seconds")) < 600
    assert after("process_start_time_seconds") <= after("reconciled_last_pass_timestamp_seconds")
    assert after("process_resident_memory_bytes") > 1e6 and after("process_open_fds") > 5


def test_plane_s_side_is_counted_and_what_is_left_of_its_budget(database, sandbox, make_service):
    plane = Plane(sandbox)
    plane.issues({"number": 1, "state": "In Progress"}, {"number": 2, "state": "Approved"})
    service = make_service(**plane.settings())
    assert service.command("migrate").returncode == 0
    seed_task(database, plane, "ORCH-2", "analysis")
    plane.forget_calls()
    service.start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    metrics = scrape(service)
    for outcome, n in {"started": 1, "approved": 1, "rejected": 0, "advanced": 0, "failed": 0}.items():
        assert metrics("reconciled_transitions_total", outcome=outcome) == n
    assert metrics("reconciled_missed_events_total", source="plane", event="issue.updated") == 2
    assert metrics("reconciled_time_to_heal_seconds_count") == 0  # a person's thinking is not a lost webhook's time
    calls = metrics("reconciled_upstream_requests_total", upstream="plane", **{"class": "2xx"})
    assert calls == plane.counters()["accepted"] > 0
    assert metrics("reconciled_upstream_up", upstream="plane") == 1
    assert metrics("reconciled_plane_budget_limit") == 60
    assert 50 - calls <= metrics("reconciled_plane_budget_left") <= 50  # more when a minute has passed
    assert metrics("reconciled_plane_deferred_calls_total") == 0


def test_a_dry_run_moves_no_counter_of_transitions(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    assert outcomes(service.run(dry_run=True)) == {1: "advanced"}
    after = scrape(service)
    assert after("reconciled_transitions_total", outcome="advanced") == after("reconciled_time_to_heal_seconds_count") == 0


def test_no_series_comes_with_tasks_paths_or_hosts(database, sandbox, service):
    before = set(scrape(service).samples)
    heal_something(database, sandbox, service)
    seed(database, *[{"id": id, "stage": "development", "repo": f"acme/r{id}", "branch": f"x{id}"} for id in range(100, 140)])
    service.run()
    for path in ("/nope", "/reconcile/runs/17", "/reconcile/status?a=b", "/metrics/../x", "/%41"):
        service.call("GET", path)
    service.call("FROB", "/reconcile/status")
    assert set(scrape(service).samples) == before


def test_a_pass_changes_what_the_settings_say(service):
    def gauges():
        metrics = scrape(service)
        return tuple(metrics("reconciled_" + name) for name in ("enabled", "plane_enabled", "observing", "pass_interval_seconds"))
    assert gauges() == (1, 1, 0, 86400)
    assert service.put(enabled=False, plane_enabled=False, mode="observe", interval_s=30).status == 200
    assert gauges() == (0, 0, 1, 30)
    assert service.put(enabled=None, plane_enabled=None, mode=None, interval_s=None).status == 200
    assert gauges() == (1, 1, 0, 86400)


# ---- it does not wait ----


def test_it_needs_the_token_and_no_database(make_service, tmp_path):
    service = make_service(ORCH_API_TOKEN="sesame", ORCH_DATABASE_URL=f"sqlite:{tmp_path}/nowhere/tasks.db").start()
    service.expected_errors = ["the database cannot be asked"]
    assert service.call("GET", "/metrics").status == 401
    token = {"Authorization": "Bearer sesame"}
    eventually(lambda: scrape(service, headers=token)("reconciled_database_up") == 0, "the database's absence")
    metrics = scrape(service, headers=token)
    assert metrics("reconciled_passes_total", trigger="timer", result="failed") >= 1
    assert metrics("reconciled_last_pass_timestamp_seconds") == 0
    assert metrics("reconciled_http_requests_total", route="/metrics", **{"class": "4xx"}) == 1


def test_an_upstream_that_hangs_delays_it_not_and_shows(database, sandbox, make_service):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="2").start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})
    sandbox.fault("/gitea/*", "hang")
    run = service.begin()
    sandbox.hanging(1)
    assert scrape(service)("reconciled_upstream_up", upstream="gitea") == 1  # answered while the pass waits
    service.report(run)
    metrics = scrape(service)
    assert metrics("reconciled_upstream_up", upstream="gitea") == 0
    assert metrics("reconciled_upstream_requests_total", upstream="gitea", **{"class": "timeout"}) == 1
    sandbox.heal()
    service.run()
    assert scrape(service)("reconciled_upstream_up", upstream="gitea") == 1


# ---- what speaks of it ----


def documented():
    """{family: (type, labels)} of the README's table."""
    rows = re.findall(r"^\| `((?:reconciled|process)_\w+)` \| (\w+) \|([^|]*)\|", (ROOT / "README.md").read_text(), re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_readme_lists_the_families_there_are(service):
    metrics = scrape(service)
    assert documented() == {name: (kind, metrics.labels(name)) for name, kind in metrics.types.items()}


def check_expression(metrics, expression):
    """Every series that the expression selects is there, by name and by each label that it demands."""
    names = re.findall(r'\b((?:reconciled|process)_\w+|up\b)(?:\{((?:[^"}]|"[^"]*")*)\})?', expression)
    assert names, expression
    for name, matchers in names:
        if name in FROM_PROMETHEUS:
            continue
        family = metrics.family(name)
        assert family in metrics.types and any(sample == name for sample, _ in metrics.samples), (name, expression)
        for label, how, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers or ""):
            if label in ("instance", "job"):
                continue
            known = {word for sample, labels in metrics.samples if sample == name for at, word in labels if at == label}
            words = {value} if how in ("=", "!=") else set(value.split("|"))
            assert known and words <= known, (label, value, expression)


def rules():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def test_the_rules_are_rules_of_what_there_is(service):
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = scrape(service)
    for rule in rules():
        check_expression(metrics, rule["expr"])
        assert rule["for"] and rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"].endswith(".")


def test_each_alert_fires_when_it_should_and_not_when_not():
    done = promtool("test", "rules", RULES_TEST.name, cwd=RULES_TEST.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    fires, silent = set(), set()
    for test in yaml.safe_load(RULES_TEST.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fires == silent == {rule["alert"] for rule in rules()}


def test_prometheus_is_told_how_to_scrape_it():
    done = promtool("check", "config", "--syntax-only", ROOT / "docker/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load((ROOT / "docker/prometheus/prometheus.yml").read_text())
    assert config["rule_files"] == [RULES.name]
    assert config["scrape_configs"][0]["authorization"] == {"type": "Bearer", "credentials_file": "/run/secrets/orch_api_token"}


def queries(node):
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key == "expr":
            yield value
        else:
            yield from queries(value)


def test_the_dashboard_asks_for_what_there_is(service, tmp_path):
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = list(queries(dashboard))
    assert len(expressions) > 20
    metrics = scrape(service)
    for expression in expressions:
        check_expression(metrics, expression)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check_expression(metrics, variable["query"].removeprefix("label_values"))
    as_rules = [{"record": f"asked:{at}", "expr": text.replace("$__rate_interval", "5m")} for at, text in enumerate(expressions)]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": as_rules}]}))
    done = promtool("check", "rules", tmp_path / "asked.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_a_name_or_a_label_that_there_is_not_would_be_found(service):
    metrics = scrape(service)
    for wrong in ("reconciled_passes", "sum(reconciled_stuck_tasks_total)", 'reconciled_passes_total{result="well"}',
                  'reconciled_transitions_total{outcome=~"advanced|moved"}', 'reconciled_stuck_tasks{repo="acme/app"}',
                  "reconciled_pass_duration_seconds"):
        with pytest.raises(AssertionError):
            check_expression(metrics, wrong)
