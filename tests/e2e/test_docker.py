"""What docker/ contains, as far as it can be tried without an engine and in a moment; make docker-check carries the Dockerfile out."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import RECONCILED, ROOT, Sandbox, eventually, help_of_commands, reconciled, stages

sys.path.insert(0, str(ROOT / "tests/roots"))
import replay  # noqa: E402

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def settings_of(text):
    return dict(re.fullmatch(r"(\w+)='?(.*?)'?", line).groups() for line in text.splitlines() if line and not line.startswith("#"))


# ---- Dockerfile ----


@pytest.fixture(scope="module")
def dockerfile():
    return replay.dockerfile()


def test_every_source_of_the_dockerfile_is_there(dockerfile):
    context = replay.context()
    for stage in dockerfile.values():
        for origin, sources, _ in replay.copies(stage):
            assert origin in dockerfile if origin else all(
                source in context or any(name.startswith(source + "/") for name in context) for source in sources), sources


def test_the_build_takes_in_no_secret_and_nothing_that_was_built(dockerfile):
    assert not [name for name in replay.context() if re.match(r"(build|\.git|docker/secrets|docker/reconciled\.env)", name)]


def test_the_image_has_no_rights_and_asks_itself_how_it_is(dockerfile):
    image = dockerfile["reconciled"]
    assert list(dockerfile)[-1] == "reconciled"  # what is built when nothing else is named
    assert int(image.last("USER").split(":")[0]) > 0
    health = image.health_command()
    assert [health[0]] == json.loads(image.last("ENTRYPOINT")) and "health" in help_of_commands()
    assert not any(word == "RUN" for word, _ in image.steps) and image.last("VOLUME") == image.last("WORKDIR")
    assert image.last("STOPSIGNAL") == "SIGTERM"


@pytest.mark.skipif(os.environ.get("RECONCILED", "").find("san-") >= 0, reason="a sanitizer is a library of its own")
def test_the_libraries_of_the_program_are_installed_in_the_image(dockerfile):
    def release_independent(package):  # Debian 13 has some libraries under a name that ends in t64
        return package.removesuffix("t64")

    install = {release_independent(word) for word in " ".join(dockerfile["base"].values("RUN")).split()}
    needed = re.findall(r"NEEDED\s+(\S+)", subprocess.run(["objdump", "-p", RECONCILED], capture_output=True, text=True, check=True).stdout)
    for library in needed:
        found = subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True).stdout
        package = release_independent(found.split(":", 1)[0])
        assert package == "libc6" or package in install, (library, package)


def test_the_image_starts_only_with_a_token(dockerfile):
    environment = dict(value.split("=", 1) for value in dockerfile["reconciled"].values("ENV"))
    done = reconciled("serve", environment=environment)
    assert done.returncode == 2 and "ORCH_API_TOKEN" in done.stderr


# ---- compose.yaml ----


def test_what_compose_mounts_is_there():
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], (name, volume)
        for secret in service.get("secrets", []):
            assert secret in COMPOSE["secrets"], (name, secret)
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).samefile(DOCKER / "Dockerfile")
            assert service["build"]["target"] in replay.dockerfile()


def test_compose_confines_what_is_ours_and_publishes_on_loopback_alone():
    for name in ("reconciled", "sandbox", "prometheus"):
        assert SERVICES[name]["read_only"] is True and SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert "privileged" not in service


def test_secrets_are_files_everywhere():
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": "${SECRETS:-secrets}/" + name}
        assert (DOCKER / "sandbox/secrets" / name).read_text().strip()
    given = [str(value) for service in SERVICES.values() for value in service.get("environment", {}).values()]
    assert all(pathlib.Path(value).name in COMPOSE["secrets"] for value in given if "/run/secrets/" in value)
    for name, service in SERVICES.items():
        assert not [key for key in service.get("environment", {}) if re.search(r"TOKEN$|PASSWORD$|SECRET$", key)], name


def test_prometheus_finds_the_service_and_its_token():
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert name in SERVICES and SERVICES[name]["ports"][0].endswith(f":{port}")
    assert pathlib.Path(job["authorization"]["credentials_file"]).name in SERVICES["prometheus"]["secrets"]
    mounted = [volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]]
    assert all("/etc/prometheus/" + name in mounted for name in config["rule_files"])


def compose():
    """docker compose or docker-compose, where the client has it."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) and subprocess.run([*words, "version"], capture_output=True).returncode == 0:
            return words
    return None


@pytest.mark.skipif(not compose(), reason="no docker compose here")
def test_compose_itself_understands_it():
    done = subprocess.run([*compose(), "-f", DOCKER / "compose.yaml", "--env-file", DOCKER / "sandbox/compose.env", "config", "--quiet"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_readme_makes_every_secret_and_the_settings(tmp_path):
    block = re.search(r"^```sh\n(cp docker/env\.example.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    (tmp_path / "docker").mkdir()
    shutil.copy(DOCKER / "env.example", tmp_path / "docker")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    (tmp_path / "bin/docker").chmod(0o755)
    done = subprocess.run(["sh", "-eu"], input=block, cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (0, f"{tmp_path} compose -f docker/compose.yaml up -d\n"), done.stderr
    made = {path.name: path.read_text().strip() for path in (tmp_path / "docker/secrets").iterdir()}
    assert set(made) == set(COMPOSE["secrets"]) and f":{made['postgres_password']}@postgres/" in made["orch_database_url"]
    settings = settings_of((tmp_path / "docker/reconciled.env").read_text())
    assert reconciled("check", environment={**settings, "ORCH_DATABASE_URL": made["orch_database_url"], "ORCH_API_TOKEN": made["orch_api_token"]
                                            }).stdout.startswith("settings  ok\n")


# ---- the sandbox's profile ----


def test_the_sandbox_profile_needs_nothing_that_is_not_in_the_tree():
    given = settings_of((DOCKER / "sandbox/compose.env").read_text())
    assert (DOCKER / given["RECONCILED_ENV"]).exists() and (DOCKER / given["SECRETS"]).is_dir()
    profiles = {name for name, service in SERVICES.items() if "profiles" not in service or given["COMPOSE_PROFILES"] in service["profiles"]}
    assert profiles == {"postgres", "reconciled", "prometheus", "sandbox", "sandbox-tasks"}
    variables = set(re.findall(r"\$\{(\w+)(?!\w|:-)", (DOCKER / "compose.yaml").read_text()))
    assert variables <= set(given)  # all others have defaults


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_sandboxs_tasks_are_healed_with_its_settings(database, make_service):
    command = SERVICES["sandbox"]["command"]
    world = {volume.split(":")[1]: DOCKER / volume.split(":")[0] for volume in SERVICES["sandbox"]["volumes"]}[command[-1]]
    assert command[:-1] == ["--port", "8788", "--world"]
    box = Sandbox("--world", str(world))
    try:
        secrets = {path.name: path.read_text().strip() for path in (DOCKER / "sandbox/secrets").iterdir()}
        settings = {name.removesuffix("_FILE"): secrets[pathlib.Path(value).name] if name.endswith("_FILE") else value
                    for name, value in settings_of((DOCKER / "sandbox/reconciled.env").read_text()).items()}
        settings = {name: value.replace("127.0.0.1:8788", box.address) for name, value in settings.items()}
        service = make_service(**settings).start()
        eventually(lambda: service.status()["last_run_ts"])
        database.script((DOCKER / "sandbox/tasks.sql").read_text().rstrip().rstrip(";"))
        service.call("POST", "/reconcile/run")
        assert dict(database.query("SELECT work_item_id, stage FROM tasks")) == {
            "SHOP-1": "review", "SHOP-2": "development", "SHOP-3": "testing", "SHOP-4": "done", "SHOP-5": "development",
            "SHOP-6": "architecture", "SHOP-7": "analysis"}
        assert service.command("check").returncode == 0
    finally:
        box.stop()
