"""Checks the files under deploy/ that other programs read: each by its own checker where that is installed, and what no
checker knows (versions, columns, what belongs together) here.

    python3 .ci/manifests.py [SLUICE]

SLUICE is the program, which judges every configuration. The Python packages are those of the step "manifests" of .ci/run.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
# The oldest Kubernetes that has everything in the manifests (a pod that sleeps before it stops), and a recent one.
KUBERNETES = ["1.30", "1.34"]
# Kinds of the Prometheus Operator, which the schemas of Kubernetes do not have.
FOREIGN_KINDS = {"PodMonitor"}

faults = []


def fault(what):
    faults.append(what)
    print(f"FAULT: {what}")


def tool(name):
    """The path of a program beside this Python, or in PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def run(what, *command, **options):
    """Runs a checker; its output is shown if it complains."""
    program = tool(command[0])
    if program is None:
        print(f"skipped: {what} ({command[0]} is not installed)")
        return None
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, **options)
    if done.returncode != 0:
        fault(f"{what}:\n{done.stdout}{done.stderr}")
        return None
    print(f"ok: {what}")
    return done.stdout


def check_yaml():
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    files = sorted(str(path) for ending in ("yaml", "yml") for path in DEPLOY.rglob(f"*.{ending}"))
    run(f"{len(files)} YAML files", "yamllint", "--strict", "-d", rules, *files)


def check_images():
    images = [DEPLOY / "docker/Dockerfile", DEPLOY / "docker/Dockerfile.prebuilt"]
    # Debian's packages have no version that stays in the mirror.
    run("Dockerfiles", "hadolint", "--ignore", "DL3008", *map(str, images), str(DEPLOY / "homeassistant/sluice/Dockerfile"))
    ends = {image.read_text().partition("COPY deploy/docker/config.toml")[2] for image in images}
    if len(ends) != 1 or "" in ends:
        fault("deploy/docker: Dockerfile and Dockerfile.prebuilt differ behind the copy of the configuration")


def check_compose():
    compose = DEPLOY / "compose/compose.yaml"
    umbrel = DEPLOY / "umbrel/sluice/docker-compose.yml"
    run("compose files", "check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose), str(umbrel))
    services = yaml.safe_load(compose.read_text())["services"]
    with tempfile.TemporaryDirectory() as directory:
        for mount in services["prometheus"]["volumes"]:
            source, target = mount.split(":")[:2]
            if not source.startswith("."):
                continue
            if not (compose.parent / source).is_file():
                fault(f"compose.yaml mounts {source}, which is no file")
            elif target.startswith("/etc/prometheus/"):
                shutil.copy(compose.parent / source, directory)
        run("prometheus.yml of compose.yaml", "promtool", "check", "config", f"{directory}/prometheus.yml")
    for mount in services["sluice"]["volumes"] + services["grafana"]["volumes"]:
        source = mount.split(":")[0]
        if source.startswith(".") and not (compose.parent / source).exists():
            fault(f"compose.yaml mounts {source}, which does not exist")


def check_umbrel():
    manifest = yaml.safe_load((DEPLOY / "umbrel/sluice/umbrel-app.yml").read_text())
    wanted = (
        "manifestVersion id category name version tagline description releaseNotes developer website dependencies repo "
        "support port gallery path defaultUsername defaultPassword submitter submission"
    ).split()
    if list(manifest) != wanted:
        fault(f"umbrel-app.yml has the keys {list(manifest)}, and should have {wanted}, in this order")
    services = yaml.safe_load((DEPLOY / "umbrel/sluice/docker-compose.yml").read_text())["services"]
    if services["app_proxy"]["environment"]["APP_HOST"] != f"{manifest['id']}_web_1":
        fault("umbrel: APP_HOST is not the service \"web\" of this app")
    if not re.search(r":[\w.]+@sha256:[0-9a-f]{64}$", services["web"]["image"]):
        fault("umbrel: the image needs a version and a digest")


def check_home_assistant():
    app = yaml.safe_load((DEPLOY / "homeassistant/sluice/config.yaml").read_text())
    for key in ("name", "version", "slug", "description", "arch"):
        if not app.get(key):
            fault(f"homeassistant: config.yaml has no {key}")
    kinds = r"(str|bool|int|float|email|url|password|port|match|list|device)(\(.*\))?\??"
    for key, kind in app["schema"].items():
        if not re.fullmatch(kinds, kind[0] if isinstance(kind, list) else kind):
            fault(f"homeassistant: {key} has the unknown type {kind}")
        if key in app["options"] and str(kind).endswith("?"):
            fault(f"homeassistant: {key} has a default, so it can't be optional")
    translated = yaml.safe_load((DEPLOY / "homeassistant/sluice/translations/en.yaml").read_text())
    if set(translated["configuration"]) != set(app["schema"]) or set(translated["network"]) != set(app["ports"]):
        fault("homeassistant: translations/en.yaml has other options or ports than config.yaml")


def home_assistant_configurations(directory):
    """What run.sh makes of the form's answers: the defaults, and everything filled in."""
    app = yaml.safe_load((DEPLOY / "homeassistant/sluice/config.yaml").read_text())
    address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    full = {"mode": "aggregate", "user": address, "address": address, "token": 'say "friend" \\ é'}
    if tool("jq") is None:
        print("skipped: run.sh of the Home Assistant app (jq is not installed)")
        return
    for name, answers in (("default", app["options"]), ("full", app["options"] | full)):
        data = Path(directory) / f"homeassistant-{name}"
        data.mkdir()
        (data / "options.json").write_text(json.dumps(answers))
        script = (DEPLOY / "homeassistant/sluice/run.sh").read_text()
        start = script.index('if [ "$(id -u)" -eq 0 ]')
        run(
            f"run.sh of the Home Assistant app, {name} answers", "bash", "-c", script[:start],
            env=os.environ | {"DATA": str(data), "OWN": "/nowhere"},
        )
        made = tomllib.loads((data / "config.toml").read_text())
        if [pool["url"] for pool in made["upstream"]] != answers["pools"] or made["mode"] != answers["mode"]:
            fault(f"run.sh of the Home Assistant app loses something of {answers}: {made}")
        if made["http"].get("token") != answers.get("token"):
            fault("run.sh of the Home Assistant app changes the token")
        yield data / "config.toml"


def check_kubernetes():
    folders = sorted(path.parent for path in (DEPLOY / "kubernetes").rglob("kustomization.yaml"))
    with tempfile.TemporaryDirectory() as directory:
        for folder in folders:
            built = run(f"kubernetes/{folder.name} by kustomize", "kubectl", "kustomize", str(folder))
            if built is None:
                return
            objects = list(yaml.safe_load_all(built))
            known = Path(directory) / f"{folder.name}.yaml"
            known.write_text(yaml.safe_dump_all(one for one in objects if one["kind"] not in FOREIGN_KINDS))
            for version in KUBERNETES:
                run(
                    f"kubernetes/{folder.name} by the schemas of Kubernetes {version}",
                    "kubernetes-validate", "--quiet", "--strict", "-k", version, str(known),
                )
            check_objects(folder.name, objects)


def check_objects(name, objects):
    """What no schema knows: that selectors meet the pods, and that the grace is longer than Sluice's own."""
    pods = next(one for one in objects if one["kind"] == "StatefulSet")["spec"]["template"]
    labels = pods["metadata"]["labels"].items()
    selectors = {
        "StatefulSet": lambda spec: spec["selector"]["matchLabels"],
        "Service": lambda spec: spec["selector"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        "PodMonitor": lambda spec: spec["selector"]["matchLabels"],
    }
    for one in objects:
        if one["kind"] in selectors and not selectors[one["kind"]](one["spec"]).items() <= labels:
            fault(f"kubernetes/{name}: the selector of {one['kind']} {one['metadata']['name']} meets no pod")
    sleep = pods["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    if pods["spec"]["terminationGracePeriodSeconds"] < sleep + 10 + 10:
        fault(f"kubernetes/{name}: shares in flight have 10 s after preStop, and the records need time, too")


def check_versions():
    """One version everywhere: that of Cargo.toml."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    found = {
        "umbrel/sluice/umbrel-app.yml": r'^version: "(.*)"',
        "umbrel/sluice/docker-compose.yml": r"image: .*/sluice:(.*)@",
        "homeassistant/sluice/config.yaml": r'^version: "(.*)"',
        "homeassistant/sluice/Dockerfile": r"SLUICE_IMAGE=.*:(.*)",
        "kubernetes/base/kustomization.yaml": r"newTag: (.*)",
    }
    for file, pattern in found.items():
        match = re.search(pattern, (DEPLOY / file).read_text(), re.MULTILINE)
        if match is None or match[1] != version:
            fault(f"deploy/{file} names the version {match and match[1]}, and Cargo.toml {version}")


def check_shipping():
    """Vector's rows have the columns of the files in their order, and those of ClickHouse's tables."""
    vector = yaml.safe_load((DEPLOY / "shipping/vector.yaml").read_text())
    tables = (DEPLOY / "shipping/clickhouse.sql").read_text()
    for name, renamed in (("shares", {}), ("timing", {"ntp_time": "timestamp"}), ("devices", {}), ("events", {"at": "timestamp"})):
        program = vector["transforms"][name]["source"]
        keys = re.findall(r'^  "(\w+)":', program, re.MULTILINE)
        table = re.search(rf"sluice\.{name} \((.*?)\n\) ENGINE", tables, re.DOTALL)[1]
        if set(keys) != set(re.findall(r"^    (\w+) ", table, re.MULTILINE)):
            fault(f"shipping: the table {name} has other columns than vector.yaml")
        columns = columns_of(name)
        if name == "events":
            read = re.findall(r"event\.(\w+)", program)
        else:
            read = [columns[int(place)] for place in re.findall(r":.*row\[(\d+)\]", program)]
        if read != columns:
            fault(f"shipping: vector.yaml reads {read} of {name}, and the file has {columns}")
        if keys[1:] != [renamed.get(column, column) for column in columns]:
            fault(f"shipping: vector.yaml names {keys[1:]} what the file calls {columns}")


def columns_of(name):
    """The columns of a file of the records: those of the sample week, which has no devices, else of the program."""
    sample = ROOT / "tests/data/sample_week"
    if name == "events":
        with open(sample / "events.jsonl") as lines:
            return list(json.loads(next(lines)))
    if name == "devices":
        program = (ROOT / "src/record/devices_csv.rs").read_text()
        return re.findall(r'"(\w+)"', re.search(r"COLUMNS: .*? = \[(.*?)\];", program, re.DOTALL)[1])
    with open(sample / f"{name}.csv") as lines:
        return next(csv.reader(lines))


def check_configurations(sluice):
    """Sluice itself judges each configuration."""
    with tempfile.TemporaryDirectory() as directory:
        configurations = sorted(DEPLOY.rglob("*.toml")) + list(home_assistant_configurations(directory))
        if not sluice:
            print("skipped: the configurations (no program to check them with)")
            return
        # Ports that are free, and records that are not the service's.
        elsewhere = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir", f"{directory}/records"]
        for configuration in configurations:
            run(f"{configuration.name} of {configuration.parent.name}", sluice, "check", "--config", str(configuration), *elsewhere)


def main():
    check_yaml()
    check_images()
    check_compose()
    check_umbrel()
    check_home_assistant()
    check_kubernetes()
    check_versions()
    check_shipping()
    run("haproxy.cfg", "haproxy", "-c", "-f", str(DEPLOY / "haproxy/haproxy.cfg"))
    check_configurations(sys.argv[1] if len(sys.argv) > 1 else None)
    if faults:
        sys.exit(f"{len(faults)} faults")


if __name__ == "__main__":
    main()
