"""schemathesis, from PyPI, makes requests from the description, good and bad ones, and holds the answers to it.

CASES is how many requests both tests together make at least. Its exact version and those of all that it needs stand in
schemathesis/requirements.txt; schemathesis/hooks.py lists what it finds and what is as it should be, each with the reason.
"""
import fcntl
import json
import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT, SQLite, die_with_the_tests, seed

CASES = int(os.environ.get("CASES", 500))
OF_ONE_OPERATION = 20 if CASES < 5000 else 600
TOKEN = "0123456789abcdef-of-the-tests-alone"
OWN = ROOT / "tests/e2e/schemathesis"
FOLDER = ROOT / "build/schemathesis"
OFFLINE = ("--quiet", "--disable-pip-version-check", "--timeout", "10", "--retries", "1")


@pytest.fixture
def database(tmp_path):
    return SQLite(tmp_path)


def install(wanted):
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True, capture_output=True, text=True, timeout=120)
    subprocess.run([FOLDER / "bin/pip", "install", *OFFLINE, "--require-hashes", "--only-binary", ":all:", "-r",
                    OWN / "requirements.txt"], check=True, capture_output=True, text=True, timeout=300)
    (FOLDER / "installed").write_text(wanted)


@pytest.fixture(scope="session")
def program():
    """schemathesis in a folder of its own, which stays; tests are skipped where PyPI cannot be reached."""
    wanted = (OWN / "requirements.txt").read_text()
    FOLDER.parent.mkdir(exist_ok=True)
    with open(FOLDER.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "installed").exists() or (FOLDER / "installed").read_text() != wanted:
            try:
                install(wanted)
            except (OSError, subprocess.SubprocessError) as error:
                lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
                pytest.skip(f"schemathesis cannot be installed from PyPI: {lines[-1]}")
    return FOLDER / "bin/st"


def run(program, service, tmp_path, number, headers):
    """One run; how many requests it made."""
    description = tmp_path / "openapi.json"
    description.write_text(json.dumps(service.description))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(OWN), "SCHEMATHESIS_HOOKS": "hooks",
                   "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [program, "run", description, "--url", f"http://{service.address}", "--seed", str(number), "--max-examples",
         str(OF_ONE_OPERATION), "--checks", "all", "--exclude-checks", "positive_data_acceptance,negative_data_rejection",
         "--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color", *headers],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, preexec_fn=die_with_the_tests)
    made = re.search(r"(\d+) generated", ended.stdout)
    assert ended.returncode == 0 and made, f"seed {number}\n{ended.stdout[-20000:]}{ended.stderr[-2000:]}"
    return int(made[1])


@pytest.fixture
def served(database, sandbox, make_service):
    def branch(name, state):
        return {"name": name, "statuses": [{"context": "ci/build", "state": state}]}
    sandbox.world({"full_name": "acme/app", "branches": [branch("b6", "success"), branch("b7", "failure")]})
    service = make_service(ORCH_API_TOKEN=TOKEN).start()
    service.become_ready()
    seed(database, {"id": 6, "stage": "development"}, {"id": 7, "stage": "testing"}, {"id": 8, "stage": "analysis"})
    service.description = service.call("GET", "/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    return service


@pytest.mark.parametrize("headers", [["--header", f"Authorization: Bearer {TOKEN}"], []], ids=["with_the_token", "without_a_token"])
def test_every_answer_is_as_described(program, served, tmp_path, headers):
    made = number = 0
    while made < CASES / 2:
        number += 1
        made += run(program, served, tmp_path, number, headers)
    assert served.call("GET", "/healthz").status == 200
