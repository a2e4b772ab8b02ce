"""Dockerfile, compose.yaml and the manifests, as linters, schemas and Prefect's own worker read them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
FILES = ("Dockerfile", "compose.yaml", *(f"kubernetes/{file.name}" for file in (ROOT / "kubernetes").iterdir()))
WITH_SECRETS = "/app/containers/with-secrets"
# What the worker of a Kubernetes pool does before it asks Kubernetes for a Job.
MAKE_JOBS = """
import asyncio, json, os, sys, uuid
from pathlib import Path
os.environ["PREFECT_API_URL"] = "http://prefect:4200/api"
from prefect.client.schemas.objects import FlowRun
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
template, made = json.loads(Path(sys.argv[1]).read_text()), []
for values in json.loads(sys.argv[2]):
    # Only a template that names blocks asks the server.
    coming = KubernetesWorkerJobConfiguration.from_template_and_values(template, values, client=object())
    job = asyncio.run(coming)
    job.prepare_for_flow_run(FlowRun(flow_id=uuid.uuid4(), name="a night"))
    made.append(job.job_manifest)
print(json.dumps(made))
"""


def test_every_file_names_the_version_of_the_project():
    for name in FILES:
        text = (ROOT / name).read_text(encoding="utf-8")
        named = re.findall(r"nightcast:([0-9][\w.]*)|ARG VERSION=(\S+)", text)
        assert {image or version for image, version in named} == {VERSION}, name


def test_what_the_image_copies_is_there_and_gets_past_the_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    copied = [name for line in lines for name in line.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {f"!{name.partition('/')[0]}" for name in copied} == {line for line in ignored if line.startswith("!")}


def test_a_linter_finds_nothing_in_the_dockerfile(tool):
    assert tool("hadolint", "--failure-threshold", "style", "Dockerfile") == ""


def test_compose_names_no_password_and_publishes_ports_to_this_machine_alone(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert [port["target"] for port in ports] == [4200, 4201]
    environments = [service.get("environment") or {} for service in compose["services"].values()]
    named = {name: value for each in environments for name, value in each.items()}
    assert [name for name in named if "PASSWORD" in name] == ["POSTGRES_PASSWORD_FILE"]
    assert [value for value in named.values() if re.search("//[^/@]*:[^/@]*@", value)] == []
    assert {Path(secret["file"]).parent for secret in compose["secrets"].values()} == {ROOT / "secrets"}


def test_every_service_of_ours_is_confined_and_no_service_takes_the_whole_machine(compose):
    for name, service in compose["services"].items():
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "postgres":
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name


def test_the_manifests_fit_the_schemas_of_kubernetes(tool):
    for file in sorted((ROOT / "kubernetes").glob("*.yaml")):
        tool("kubernetes-validate", "--strict", "--quiet", file)


def test_prefect_makes_jobs_of_the_template_that_fit_the_schemas_of_kubernetes(tool, tmp_path):
    changes = [{}, {"gpus": 1, "image": "registry.example.org/nightcast:gpu"}]
    template = ROOT / "kubernetes" / "base-job-template.json"
    manifests = json.loads(tool("python", "-c", MAKE_JOBS, template, json.dumps(changes)))
    for number, (manifest, change) in enumerate(zip(manifests, changes, strict=True)):
        # Kubernetes makes the name; the schema wants one.
        manifest["metadata"]["name"] = manifest["metadata"].pop("generateName")
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(manifest), encoding="utf-8")
        tool("kubernetes-validate", "--strict", "--quiet", file)
        [container] = manifest["spec"]["template"]["spec"]["containers"]
        assert [*container["command"], *container["args"]] == [WITH_SECRETS, "prefect", "flow-run", "execute"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == change.get("gpus", 0)
        assert {"name": "PREFECT_API_URL", "value": "http://prefect:4200/api"} in container["env"]


def test_the_template_has_all_that_prefect_s_own_has(tool):
    ours = json.loads((ROOT / "kubernetes" / "base-job-template.json").read_text(encoding="utf-8"))
    program = "import json; from prefect_kubernetes.worker import KubernetesWorker as W; "
    its_own = json.loads(tool("python", "-c", program + "print(json.dumps(W.get_default_base_job_template()))"))
    added = {"gpus", "secret", "jobs", "data"}
    assert {*ours["variables"]["properties"]} - {*its_own["variables"]["properties"]} == added
    assert {*its_own["variables"]["properties"]} <= {*ours["variables"]["properties"]}
    assert {*ours["job_configuration"]} == {*its_own["job_configuration"]}
    assert ours["variables"]["definitions"] == its_own["variables"]["definitions"]
