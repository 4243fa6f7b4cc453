"""What end-to-end tests stand on: the real service, the sandbox, a database of each kind.

RECONCILED and SANDBOX name the programs; build/release when unset. Every wait is for something that can be seen, with a deadline.
Whatever is started ends with the test, and with the test run if that is killed.
"""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time
import urllib.parse

import psycopg
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECONCILED = os.path.abspath(os.environ.get("RECONCILED", ROOT / "build/release/reconciled"))
SANDBOX = os.path.abspath(os.environ.get("SANDBOX", ROOT / "build/release/sandbox"))
DEADLINE_S = 30
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_the_tests():
    """In a new child: prctl(2) ends it when the tests are gone, however they ended."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def eventually(look, what="what was waited for", deadline_s=DEADLINE_S):
    """The first true value of look()."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = look()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about within {deadline_s} s")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def call(address, method, path, body=None, headers=None, timeout=60):
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Sandbox:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([SANDBOX, *arguments], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_the_tests)
        line = self.process.stdout.readline()
        assert line.startswith("sandbox listening on http://"), line
        self.address = line.strip().rsplit("/", 1)[1]
        self.url = f"http://{self.address}"

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()

    def control(self, method, path, body=None):
        answer = call(self.address, method, "/sandbox/" + path, body)
        assert answer.status < 300, answer.body
        return answer.json() if answer.body else None

    def api(self, path):
        answer = call(self.address, "GET", "/gitea/api/v1/" + path)
        assert answer.status == 200, answer.body
        return answer.json()

    def gitea(self, method, path, body=None):
        return call(self.address, method, "/gitea/api/v1/" + path, body)

    def world(self, *repos, **more):
        return self.control("POST", "world", {"repos": list(repos), **more})

    def change(self, **change):
        return self.control("POST", "change", {"repo": "acme/app", **change})

    def fault(self, path, kind, **more):
        self.control("POST", "faults", {"path": path, "kind": kind, **more})

    def heal(self):
        self.control("DELETE", "faults")

    def hanging(self, n):
        assert self.control("GET", f"requests?until_hanging={n}")["hanging"] >= n

    def asked(self, like=None):
        """How many requests there were; of a glob over "METHOD /path?query", among the last ten thousand."""
        if like is None:
            return self.control("GET", "requests")["total"]
        return len(self.control("GET", f"requests?limit=10000&like={urllib.parse.quote(like)}")["requests"])


@pytest.fixture
def sandbox():
    program = Sandbox()
    yield program
    program.stop()


# ---- databases ----


class SQLite:
    kind = "sqlite"

    def __init__(self, folder):
        self.path = folder / "tasks.db"
        self.url = f"sqlite:{self.path}"

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as db, db:
            return db.execute(sql).fetchall()

    def script(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=20)) as db, db:
            db.executescript(sql)

    def tables(self):
        return [name for name, in self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]

    @staticmethod
    def ago(seconds):
        return f"datetime('now', '{-seconds} seconds')"


class PostgreSQL:
    kind = "postgresql"

    def __init__(self, server, name="e2e"):
        self.server, self.name = server, name
        self.url = f"postgresql://postgres@127.0.0.1:{server.port}/{name}"
        self.connection = None

    def execute(self, sql):
        self.connection = self.connection or psycopg.connect(self.url, autocommit=True, client_encoding="utf8")
        try:
            return self.connection.execute(sql)
        except psycopg.Error:
            self.close()
            raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def query(self, sql):
        return self.execute(sql).fetchall()

    def script(self, sql):
        self.execute(sql)

    def tables(self):
        return [name for name, in self.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]

    @staticmethod
    def ago(seconds):
        return f"now() - interval '{seconds} seconds'"


class Server:
    """The PostgreSQL server that tests/postgres.sh started before the tests."""

    def __init__(self):
        assert "TEST_PG_PORT" in os.environ, "no PostgreSQL server: start the tests by tests/postgres.sh"
        self.port = int(os.environ["TEST_PG_PORT"])
        self.pid_file = pathlib.Path(os.environ["TEST_PG_FOLDER"], "data/postmaster.pid")

    def control(self, *arguments):
        subprocess.run([ROOT / "tests/postgres.sh", *arguments], check=True, timeout=60)

    def start(self):
        if not self.pid_file.exists():
            self.control("--start")

    def stop(self, mode="fast"):
        self.control("--stop", mode)

    @contextlib.contextmanager
    def frozen(self):
        """Connections stay open and new ones are taken by the kernel, but nothing is answered."""
        own = int(self.pid_file.read_text().split()[0])
        pids = [own, *map(int, pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split())]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def server():
    it = Server()
    with contextlib.closing(PostgreSQL(it, "postgres")) as admin:
        admin.script("DROP DATABASE IF EXISTS e2e")
        admin.script("CREATE DATABASE e2e")
    return it


@pytest.fixture
def postgresql(server):
    """An empty database; emptying it costs less than making another."""
    it = PostgreSQL(server)
    it.script("DO $$ DECLARE name text; BEGIN FOR name IN SELECT quote_ident(nspname) FROM pg_namespace"
              " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP EXECUTE 'DROP SCHEMA ' || name || ' CASCADE'; END LOOP;"
              " END $$; CREATE SCHEMA public")
    yield it
    it.close()


@pytest.fixture
def sqlite(tmp_path):
    return SQLite(tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    return request.getfixturevalue(request.param)


def plane_id(number):
    """The issue of the task with that id, where a test gives it none."""
    return f"00000000-0000-4000-8000-{number:012d}"


def seed(database, *tasks):
    """Tasks as dictionaries: id, stage, and what differs from a task that has rested for an hour on branch b<id>."""
    def text(value):
        return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"

    script = []
    for task in tasks:
        task = {"repo": "acme/app", "branch": f"b{task['id']}", "age": 3600, **task}
        age = database.ago(task["age"])
        script.append(
            "INSERT INTO tasks (id, plane_id, work_item_id, title, repo, branch, stage, created_at, updated_at) VALUES "
            f"({task['id']}, '{plane_id(task['id'])}', 'ORCH-{task['id']}', 'a task', {text(task['repo'])}, {text(task['branch'])}, "
            f"{text(task['stage'])}, {age}, {age});")
        if "job" in task:
            script.append(f"INSERT INTO jobs (task_id, agent, status) VALUES ({task['id']}, 'developer', '{task['job']}');")
    database.script("BEGIN;" + "\n".join(script) + "COMMIT;")


def rows(database, *but):
    """Every row of tasks and jobs, whole, except those of the tasks named."""
    tasks = [row for row in database.query("SELECT * FROM tasks ORDER BY id") if row[0] not in but]
    jobs = [row for row in database.query("SELECT task_id AS of_task, * FROM jobs ORDER BY id") if row[0] not in but]
    return tasks, jobs


def dump(database):
    """Every row of every table."""
    return {table: sorted(map(repr, database.query(f"SELECT * FROM {table}"))) for table in database.tables()}


def stages(database):
    return dict(database.query("SELECT id, stage FROM tasks"))


# ---- the service ----


# Nothing of the machine's own settings; what steers a sanitizer is passed on.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name == "PATH" or name.endswith("SAN_OPTIONS")}


def reconciled(*arguments, environment):
    """Runs the program to its end."""
    return subprocess.run([RECONCILED, *arguments], env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
                          timeout=60, preexec_fn=die_with_the_tests)


def help_of_commands():
    """{command: its --help}, of every command that --help lists."""
    listed = reconciled("--help", environment={})
    assert listed.returncode == 0 and listed.stderr == ""
    return {name: reconciled(name, "--help", environment={}).stdout for name in re.findall(r"^  ([a-z]+)\b", listed.stdout, re.M)}


class Service:
    def __init__(self, environment, log):
        self.environment, self.log = environment, log
        self.arguments = [RECONCILED, "serve"]
        self.process = None
        self.expected_errors = []

    def start(self):
        begin = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.arguments, env=self.environment, stderr=out,
                                            preexec_fn=die_with_the_tests)

        def address():
            assert self.process.poll() is None, self.log.read_text()
            for line in self.log.read_bytes()[begin:].decode().splitlines():
                listening = re.search(r'msg=listening addr=(\S+)|"msg":"listening","addr":"([^"]+)"', line)
                if listening:
                    return listening[1] or listening[2]
            return None

        self.address = eventually(address, "the service's address")
        return self

    def become_ready(self):
        """Readiness is looked at now and then: it comes a moment after the tables."""
        eventually(lambda: self.call("GET", "/readyz").status == 200, "readiness")

    def logged(self, words, n=1):
        """The lines that hold the words, once there are n: a thread of its own writes the log."""
        def found():
            return [line for line in self.log.read_text().splitlines() if words in line]
        return eventually(lambda: len(found()) >= n and found(), f"a line with {words!r}")

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def command(self, *arguments, **settings):
        """Another run of the program, with the service's settings."""
        return reconciled(*arguments, environment={**self.environment, **settings})

    def call(self, method, path, body=None, **more):
        return call(self.address, method, path, body, **more)

    def run(self, **body):
        answer = self.call("POST", "/reconcile/run", {"side": "gate", **body})
        assert answer.status == 200, answer.body
        return answer.json()

    def begin(self, **body):
        """Asks for a pass without waiting for it; its id."""
        answer = self.call("POST", "/reconcile/run", {"side": "gate", "wait": False, **body})
        assert answer.status == 202, answer.body
        assert answer.headers["location"] == "/reconcile/runs/" + answer.json()["id"]
        return answer.json()["id"]

    def report(self, run):
        """The report of a pass, once it is over."""
        def look():
            answer = self.call("GET", f"/reconcile/runs/{run}")
            assert answer.status == 200, answer.body
            return answer.json() if answer.json()["state"] not in ("queued", "running") else None
        return eventually(look, "the pass")

    def status(self):
        return self.call("GET", "/reconcile/status").json()

    def put(self, **body):
        return self.call("PUT", "/reconcile/config", body)


def outcomes(report):
    return {item["task_id"]: item["outcome"] for item in report["items"]}


@pytest.fixture
def make_service(database, sandbox, tmp_path):
    """make_service(ORCH_…="…") makes a service on the database and the sandbox; its timer is out of the way."""
    made = []

    def make(**settings):
        environment = {**ENVIRONMENT, "ORCH_DATABASE_URL": database.url, "ORCH_HTTP_LISTEN": "127.0.0.1:0",
                       "ORCH_GITEA_URL": sandbox.url + "/gitea", "ORCH_RECONCILE_INTERVAL_S": "86400", **settings}
        made.append(Service(environment, tmp_path / f"service{len(made)}.log"))
        return made[-1]

    yield make
    for service in made:
        if service.process and service.process.poll() is None:
            assert service.end() == 0
        unexpected = [line for line in service.log.read_text().splitlines()
                      if (not line.startswith(("ts=", '{"ts":')) or " level=error " in line or '"level":"error"' in line)
                      and not any(word in line for word in service.expected_errors)]
        assert not unexpected, unexpected


@pytest.fixture
def service(make_service):
    it = make_service().start()
    eventually(lambda: it.status()["last_run_ts"], "the first pass")
    it.become_ready()
    return it
