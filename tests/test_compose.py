"""compose.yaml runs what `./dev up` runs. Docker is not asked: this reads the files."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.scanner_address import ScannerAddress
from adapters.settings import Settings, variable_of
from domain.media_type import MEBIBYTE, ServiceRules
from workers.processes import MIGRATE, PROCESSES, WEB

ROOT = Path(__file__).parent.parent
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SERVERS = {"postgres", "valkey", "s3", "clamav"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_containers_are_the_processes_of_dev_up_without_its_dashboard() -> None:
    commands = {name: service["command"] for name, service in OURS.items()}
    assert commands == {
        process.name: ["python", "-m", process.module] for process in (MIGRATE, *PROCESSES)
    }
    assert not any(WEB.module in command for command in commands.values())


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_each_waits_for_the_servers_it_needs_and_for_the_migrations(process: Any) -> None:
    waits = SERVICES[process.name]["depends_on"]
    if "s3" in process.needs:
        assert waits["buckets"]["condition"] == "service_completed_successfully"
    for server in {"postgres", "valkey"} & set(process.needs):
        assert waits[server]["condition"] == "service_healthy"
    if "postgres" in process.needs:
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_every_server_and_process_says_when_it_is_healthy() -> None:
    for name in SERVERS | {process.name for process in PROCESSES}:
        assert SERVICES[name]["healthcheck"]["test"][0].startswith("CMD")


def test_the_internal_api_is_not_published_and_the_rest_only_to_this_machine() -> None:
    assert "ports" not in SERVICES["internal"]
    assert "ports" not in SERVICES["clamav"]
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_no_secret_is_written_down() -> None:
    secret = re.compile(r"PASSWORD|SECRET|KEY|TOKEN|_USER$|_URL$")
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable) and variable not in {
                "POSTGRES_USER",
                "MEDIA_PUBLIC_BASE_URL",
                "MEDIA_DELIVERY_BASE_URL",
                "MEDIA_CLOUDFLARE_API_URL",
            }:
                assert re.search(r"\$\{[A-Z0-9_]+:\?\}", value), f"{name}: {variable}"


def test_every_variable_of_ours_is_a_setting_and_all_that_are_required_are_given() -> None:
    known = {variable_of(name) for name in Settings.__struct_fields__}
    for service in OURS.values():
        assert set(service["environment"]) <= known
    given = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{\w+:\?\}", "x" * 32, value))
        for name, value in OURS["api"]["environment"].items()
    }
    settings = Settings.from_environment(given)
    assert settings.gateway_keys == ("x" * 32,)


def test_the_scanner_is_configured_to_read_every_file_we_accept_to_its_end() -> None:
    assert "./docs/clamd.conf:/etc/clamav/clamd.conf:ro" in SERVICES["clamav"]["volumes"]
    options = dict(
        line.split(maxsplit=1)
        for line in (ROOT / "docs" / "clamd.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    scanner = ScannerAddress.parse(OURS["jobs"]["environment"]["MEDIA_SCANNER"])
    assert (scanner.host, str(scanner.port)) == ("clamav", options["TCPSocket"])
    assert options["AlertExceedsMax"] == "yes"
    largest = ServiceRules().largest_bytes
    for limit in ("StreamMaxLength", "MaxFileSize", "MaxScanSize"):
        assert int(options[limit].removesuffix("M")) * MEBIBYTE >= largest


def test_images_are_pinned_by_a_tag_that_does_not_move() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in images:
        _, _, tag = image.partition(":")
        assert re.search(r"\d+\.\d+|RELEASE\.\d{4}", tag), image


def test_the_image_runs_without_root_and_holds_only_what_a_process_needs() -> None:
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    assert "dev.txt" not in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    assert copied == {"domain", "application", "projections", "adapters", "api", "workers"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert {f"!{folder}" for folder in copied} <= set(ignored)
