"""`./dev up` as a newcomer meets it: in a process of its own, from start to Ctrl-C."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest

from tests.kit.person import Person
from tests.kit.up import SECONDS, Up, wait_until
from workers.home import HomeTaken, end_left_over, open_home
from workers.processes import PROCESSES

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def one(*options: str, home: str = "home", edge_port: int | None = None) -> Up:
        started.append(Up(tmp_path / home, *options, edge_port=edge_port))
        return started[-1]

    yield one
    for up in started:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def all_gone(pids: dict[str, int]) -> bool:
    return not any(map(alive, pids.values()))


def test_everything_answers_what_is_killed_starts_again_and_one_ctrl_c_leaves_nothing_behind(
    start: Callable[..., Up],
) -> None:
    up = start("--ephemeral", "--restart")
    run = up.until_ready()

    api, internal, edge = (f"http://127.0.0.1:{port}" for port in up.ports)
    assert (run["api"], run["internal"], run["edge"], run["web"]) == (api, internal, edge, None)
    assert set(run["pids"]) == {"postgres", "valkey", "s3", *(one.name for one in PROCESSES)}
    assert run["objectStore"]["buckets"] == {
        name: name for name in ("incoming", "public", "private")
    }
    for base in (api, internal):
        url = f"{base}/ready"
        wait_until(lambda url=url: httpx.get(url, timeout=SECONDS).status_code == 200)  # type: ignore[misc]
    listed = httpx.get(
        f"{api}/files",
        headers={
            "x-gateway-key": run["gatewayKey"],
            "x-user-id": "user_789",
            "x-tenant-id": "ls_abc123",
            "x-user-permissions": "media:files.read",
        },
        timeout=SECONDS,
    )
    assert listed.status_code == 200, listed.text
    with psycopg.connect(run["database"]) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    assert "Media Service is ready" in up.printed
    assert f"curl {api}/files" in up.printed

    before = run["pids"]
    os.kill(before["jobs"], signal.SIGKILL)
    wait_until(lambda: up.run["pids"].get("jobs", before["jobs"]) != before["jobs"])
    after = up.run["pids"]
    assert {name for name in after if after[name] != before[name]} == {"jobs"}

    assert up.end() == 0
    assert all_gone(before | after)
    assert {path.name for path in up.home.iterdir()} <= {"up.lock"}


def test_data_survives_a_kill_of_all_and_a_second_instance_on_it_is_refused(
    start: Callable[..., Up],
) -> None:
    first = start()
    run = first.until_ready()
    with psycopg.connect(run["database"], autocommit=True) as connection:
        connection.execute("INSERT INTO removed_tenants VALUES ('t:ls_gone', now())")

    second = start()
    assert second.process.wait(SECONDS) == 1
    assert "Another ./dev up runs on" in second.printed
    assert "--home DIR" in second.printed
    assert all(map(alive, run["pids"].values()))

    # Where there is no parent-death signal, the next start ends what is left.
    first.end(signal.SIGKILL)
    if sys.platform == "linux":
        wait_until(lambda: all_gone(run["pids"]))
    third = start()
    pids = third.until_ready()["pids"]
    with psycopg.connect(third.run["database"]) as connection:
        kept = connection.execute("SELECT owner FROM removed_tenants").fetchall()
    assert kept == [("t:ls_gone",)]

    # Without --restart one that dies ends all, and is named.
    os.kill(pids["reactor"], signal.SIGKILL)
    assert third.process.wait(SECONDS) == 1
    assert "reactor was killed by SIGKILL" in third.printed
    assert "./dev up goes on with the same data" in third.printed
    assert all_gone(pids)


def test_two_instances_side_by_side_know_nothing_of_each_other(start: Callable[..., Up]) -> None:
    one, other = start(home="one"), start(home="other")
    runs = [one.until_ready(), other.until_ready()]
    assert not set(runs[0]["pids"].values()) & set(runs[1]["pids"].values())
    with Person(runs[0], "ls_beside") as here, Person(runs[1], "ls_beside") as there:
        presigned = here.presign("beside.png", "image/png").json()
        assert here.put(presigned, "image/png").status_code == 200
        completed = here.complete(presigned)
        assert completed.status_code == 200
        assert there.complete(presigned).status_code == 404
        here.seen("/files", completed)
        assert (here.library(), there.library()) == ({presigned["mediaId"]}, set())

        assert other.end() == 0
        assert all_gone(runs[1]["pids"])
        assert here.library() == {presigned["mediaId"]}
    assert one.end() == 0
    assert all_gone(runs[0]["pids"])


def test_a_taken_port_is_named_with_the_process_that_needs_it_and_the_way_out(
    start: Callable[..., Up],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        up = start("--ephemeral", edge_port=taken)
        assert up.process.wait(SECONDS) == 1
    assert f"Port {taken}, which edge needs, cannot be used" in up.printed
    assert "./dev up --edge-port" in up.printed


def test_a_process_that_only_has_the_number_of_one_of_ours_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        (tmp_path / "run.json").write_text(
            msgspec.json.encode({"pids": {"api": stranger.pid}}).decode()
        )
        assert end_left_over(tmp_path) == []
        assert stranger.poll() is None
        stranger.kill()


def test_what_a_killed_supervisor_left_running_ends_at_the_next_start(tmp_path: Path) -> None:
    # Its parent ends at once, so it is an orphan, as every child of a killed supervisor is.
    orphan = subprocess.run(
        ["/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"],
        env={"PATH": os.environ["PATH"], "MEDIA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    pid = int(orphan.stdout)
    if Path(f"/proc/{pid}/stat").exists():
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        if parent != "1":
            os.kill(pid, signal.SIGKILL)
            pytest.skip("orphans are not given to process 1 here")
    (tmp_path / "run.json").write_text(f'{{"pids": {{"api": {pid}}}}}')
    with open_home(tmp_path, ephemeral=True):
        assert not alive(pid)
    assert not (tmp_path / "run.json").exists()


def test_a_folder_is_held_by_one_instance(tmp_path: Path) -> None:
    with open_home(tmp_path, ephemeral=False) as home:
        made = home.secrets()
        assert home.secrets() == made
        assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
        with pytest.raises(HomeTaken), open_home(tmp_path, ephemeral=False):
            pass
