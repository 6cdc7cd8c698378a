"""Schemathesis against a running process: requests made up from the document, answers as it says.

A bounded number of them, the same ones in every run.
"""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from adapters.settings import Settings
from tests.api.test_process import started
from tests.kit.contract import documented
from tests.kit.http import ApiClient

ROOT = Path(__file__).parents[2]
MAX_EXAMPLES = 15
SECONDS = 600
"""Of a machine that runs the other tests as well; 490 were measured."""
LEFT_OUT = {"Media-Position", "cursor", "asOf", "from", "to", "variant"}
"""A position that is not reached waits 2 s and a variant that nobody makes 8 s, a cursor comes from
an answer only, not everything like a date is one: all are tried in test_bad_input.py,
test_library.py, test_as_of.py and test_delivery_variants.py."""


async def document_with_files(client: ApiClient) -> bytes:
    """The document, with examples that exist: each operation has a file of its own."""
    document = msgspec.json.decode(msgspec.json.encode(documented()))
    # It never ends: test_library_changes.py.
    del document["paths"]["/files/events"]
    for methods in document["paths"].values():
        for operation in methods.values():
            kept = [one for one in operation["parameters"] if one["name"] not in LEFT_OUT]
            operation["parameters"] = kept
            for parameter in kept:
                if parameter["name"] == "media_id":
                    parameter["example"] = (await client.upload())["id"]
    # By deletedAt is sorted in the bin only, which no schema can say: test_bin.py.
    for operation in (one for path in document["paths"].values() for one in path.values()):
        for parameter in operation["parameters"]:
            if parameter["name"] == "sort":
                kept = [sort for sort in parameter["schema"]["enum"] if "deletedAt" not in sort]
                parameter["schema"]["enum"] = kept
    variant = document["components"]["schemas"]["RequestSignedUrl"]["properties"]["variant"]
    variant["enum"] = [None]
    # Which URL may be called is more than a schema can say: test_ingest.py and test_url_gate.py.
    url = document["components"]["schemas"]["IngestUrl"]["properties"]["url"]
    url["enum"] = ["https://images.example.com/hero.webp", "http://images.example.com/?name=a"]
    for name in ("RegisterWebhook", "ChangeWebhook"):
        of_webhook = document["components"]["schemas"][name]["properties"]["url"]
        of_webhook["enum"] = ["https://hooks.example.com/media"]
    complete = document["paths"]["/upload/complete"]["patch"]["requestBody"]["content"]
    presigned = await client.presign()
    await client.put(presigned)
    complete["application/json"]["examples"]["example"]["value"] = {"mediaId": presigned["mediaId"]}
    return msgspec.json.encode(document)


@pytest.mark.usefixtures("_followers")
@pytest.mark.timeout(SECONDS)
@pytest.mark.long
async def test_what_the_document_allows_is_accepted_and_what_it_forbids_refused(
    settings: Settings, tmp_path: Path
) -> None:
    document = tmp_path / "openapi.json"
    # Nobody fetches here, and nobody moves bytes.
    settings = msgspec.structs.replace(settings, ingest_wait_seconds=0, placement_wait_seconds=0)
    async with started("api.app", settings) as (_, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            client = ApiClient(http, tenant="ls_schemathesis")
            document.write_bytes(await document_with_files(client))
            headers = [part for pair in client.headers.items() for part in ("-H", ": ".join(pair))]
        runner = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", url),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(MAX_EXAMPLES)),
            *("--generation-deterministic", "--max-redirects", "0", "--warnings", "off"),
            *("--continue-on-failure", "--no-color", *headers),
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": "tests.kit.schemathesis_hooks",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await runner.communicate()
        finally:
            if runner.returncode is None:
                runner.kill()
    assert runner.returncode == 0, printed.decode()
    assert b"Fuzzing" in printed
