"""The load: seeded clients of two workspaces, each one thing after the other."""

import asyncio
import hashlib
import random
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from tests.faults.history import History, Kind
from tests.faults.pictures import picture
from tests.faults.system import System
from tests.kit.http_source import response

BACKOFF = (0.25, 0.5, 1.0)
"""Of spec 7.2, four times as fast."""
PATIENCE_SECONDS = 30.0
"""How long a client asks again, in the end, for what nobody could say."""
CLIENT_SECONDS = 40.0
LOOKS_SECONDS = 5.0
"""How long a client looks whether a worker has finished its upload; the log knows later."""
PAGE = 7
LEAST_OPERATIONS = 8
"""Between two strikes, of all clients together."""
BUSY_SECONDS = 10.0

DEADLINES = {"complete": 28.0, "ingest": 22.0}
"""Seconds after which an answer is too late: 15 for what asks the database alone, and 10 for the
verification, 4 for the ingest; the rest is a machine that does other things."""
DEADLINE = 18.0


class Known(msgspec.Struct):
    """A file as its client knows it."""

    media_id: str
    position: int
    state: str
    """`uploaded`, `deleted`, or one of the two, unknown which: `deleting`, `restoring`."""


class Answer(msgspec.Struct, frozen=True):
    """What was said."""

    status: int
    body: Any
    position: int
    request_id: str


class Unanswered(msgspec.Struct, frozen=True):
    """An operation nobody knows the end of, to be repeated when all is well."""

    op: str
    f: str
    method: str
    path: str
    json: Any
    key: str
    number: int


class Client:
    """One person of one workspace."""

    def __init__(
        self,
        system: System,
        folder: Path,
        *,
        name: str,
        tenant: str,
        chance: random.Random,
        others: list[str],
    ) -> None:
        """`others`: ids of files of other workspaces, which this one tries to get at."""
        self.system = system
        self.history = History(folder, name, tenant)
        self.name = name
        self.tenant = tenant
        self.chance = chance
        self.files: dict[str, Known] = {}
        self.others = others
        self.own: list[str] = []
        """Where the ids of this one's files go, for those of the other workspaces."""
        self.unanswered: list[Unanswered] = []
        self.done = 0
        """Things done, well or not."""
        self.asked = self.answered = 0
        """Requests to the service, and those that came to an end of any kind."""
        self._ops = 0
        self._http = httpx.AsyncClient(
            timeout=CLIENT_SECONDS,
            headers={
                "x-gateway-key": DEVELOPMENT_GATEWAY_KEY,
                "x-user-id": f"user_{name.replace('.', '_')}",
                "x-tenant-id": tenant,
                "x-user-permissions": "media:files.read media:files.write",
            },
        )
        self._bucket = httpx.AsyncClient(timeout=CLIENT_SECONDS)

    async def close(self) -> None:
        """Go."""
        await self._http.aclose()
        await self._bucket.aclose()
        self.history.close()

    async def run(self, over: asyncio.Event, *, pause: float, steps: int = 10**9) -> None:
        """Do one thing after the other until it is over."""
        choices = (
            (self.upload, 10),
            (self.ingest, 4),
            (self.walk, 4),
            (self.look, 4),
            (self.remove, 5),
            (self.remove_many, 2),
            (self.restore, 3),
            (self.trespass, 2),
        )
        doings, weights = zip(*choices, strict=True)
        for _ in range(steps):
            if over.is_set():
                return
            (doing,) = self.chance.choices(doings, weights)
            await doing()
            self.done += 1
            await asyncio.sleep(self.chance.uniform(0, 2 * pause))

    def new_op(self) -> str:
        """The id of the next operation, which is also the name of its file."""
        self._ops += 1
        return f"{self.name}.{self._ops}"

    async def upload(self, *, is_public: bool | None = None) -> Known | None:
        """Presign, PUT, complete; the file, if all went well."""
        op = self.new_op()
        content = picture(self.chance)
        public = self.chance.random() < 0.8 if is_public is None else is_public
        asked = {
            "fileName": f"{op}.png",
            "contentType": "image/png",
            "fileSize": len(content),
            "serviceCode": "blog",
            "isPublic": public,
        }
        told = {"sha": hashlib.sha1(content, usedforsecurity=False).hexdigest()}
        presigned = await self.call(op, "presign", "POST", "/upload/presign", asked, args=told)
        if presigned is None:
            return None
        for _ in range(3):
            stored = await self.put(presigned.body, content)
            completed = await self.complete(presigned.body["mediaId"]) if stored else None
            # The bucket said yes and has nothing: the URL still works, so it is sent again.
            if completed is None or completed.body.get("code") != "UPLOAD_INCOMPLETE":
                break
        return self._now_has(completed)

    def _now_has(self, completed: Answer | None) -> Known | None:
        if completed is None or completed.status != httpx.codes.OK:
            return None
        file = Known(completed.body["id"], completed.position, "uploaded")
        self.files[file.media_id] = file
        self.own.append(file.media_id)
        return file

    async def put(self, presigned: Mapping[str, Any], content: bytes) -> bool:
        """Store the bytes; again after a network error or a 5xx of the store, as browsers do."""
        op = self.new_op()
        self.history.write(op, "invoke", "put", args={"mediaId": presigned["mediaId"]})
        url = presigned["uploadUrl"]
        for number in range(4):
            if number:
                await asyncio.sleep(BACKOFF[number - 1])
            try:
                said = await self._bucket.put(url, content=content, headers=presigned["headers"])
            except httpx.HTTPError as error:
                self.history.write(op, "attempt", "put", error=type(error).__name__)
                continue
            self.history.write(op, "attempt", "put", status=said.status_code)
            if said.status_code in {200, 412}:
                self.history.write(op, "ok", "put", args={"mediaId": presigned["mediaId"]})
                return True
        self.history.write(op, "info", "put")
        return False

    async def complete(self, media_id: str) -> Answer | None:
        """Complete; where a worker goes on with it, wait for its word."""
        asked = {"mediaId": media_id}
        answer = await self.call(self.new_op(), "complete", "PATCH", "/upload/complete", asked)
        if answer is not None and answer.status == httpx.codes.ACCEPTED:
            return await self._until_known(media_id)
        return answer

    async def _until_known(self, media_id: str) -> Answer | None:
        deadline = time.monotonic() + LOOKS_SECONDS
        while time.monotonic() < deadline:
            answer = await self.call(self.new_op(), "status", "GET", f"/upload/{media_id}")
            if answer is not None and answer.status == httpx.codes.OK:
                if answer.body["status"] == "uploaded":
                    return msgspec.structs.replace(answer, body=answer.body["file"])
                if answer.body["status"] != "pending_upload":
                    return None
            await asyncio.sleep(0.2)
        return None

    async def ingest(self) -> None:
        """Have a URL copied."""
        op = self.new_op()
        content = picture(self.chance)
        path = f"/{op}.png"
        self.system.source.answers[path] = response(
            content, headers=[("Content-Type", "image/png")]
        )
        asked = {
            "url": self.system.source.url(path),
            "serviceCode": "blog",
            "fileName": f"{op}.png",
        }
        told = {"sha": hashlib.sha1(content, usedforsecurity=False).hexdigest()}
        answer = await self.call(op, "ingest", "POST", "/upload/ingest-url", asked, args=told)
        if answer is not None and answer.status == httpx.codes.ACCEPTED:
            answer = await self._until_known(answer.body["mediaId"])
        self._now_has(answer)

    async def walk(self) -> None:
        """Read the whole library, page by page, at the position of one's last write."""
        op = self.new_op()
        wanted = max((file.position for file in self.files.values()), default=0)
        args: dict[str, Any] = {"wanted": str(wanted)}
        self.history.write(op, "invoke", "walk", args=args)
        ids: list[str] = []
        pages: list[tuple[int, int]] = []
        cursor: str | None = None
        while True:
            parameters = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            page = await self._attempt(
                op, "walk", len(pages) + 1, "GET", "/files", params=parameters, wanted=wanted
            )
            if page is None or page.status != httpx.codes.OK:
                self.history.write(op, "info", "walk")
                return
            pages.append((len(page.body["items"]), page.position))
            ids += [item["id"] for item in page.body["items"]]
            cursor = page.body["nextCursor"]
            if cursor is None:
                break
        result = {"ids": ids, "first": str(pages[0][1]), "pages": len(pages)}
        self.history.write(op, "ok", "walk", args=args, result=result)

    async def look(self) -> None:
        """Look at a file of one's own at the position it was last changed at."""
        if not self.files:
            return
        file = self.chance.choice(list(self.files.values()))
        op = self.new_op()
        args = {"mediaId": file.media_id, "wanted": str(file.position), "state": file.state}
        self.history.write(op, "invoke", "look", args=args)
        path = f"/files/{file.media_id}"
        answer = await self._attempt(op, "look", 1, "GET", path, wanted=file.position)
        if answer is None or answer.status not in {200, 404}:
            self.history.write(op, "info", "look", args=args)
            return
        result = {"found": answer.status == httpx.codes.OK, "position": str(answer.position)}
        self.history.write(op, "ok", "look", args=args, result=result)

    async def remove(self, media_id: str | None = None) -> Answer | None:
        """Delete a file; one in two does not repeat it when there is no answer (spec 7.2)."""
        file = self._any_uploaded() if media_id is None else self.files[media_id]
        if file is None:
            return None
        file.state = "deleting"
        op, patient = self.new_op(), self.chance.random() < 0.5
        answer = await self.call(
            op,
            "delete",
            "DELETE",
            f"/files/{file.media_id}",
            None,
            key=op if patient else None,
            args={"mediaId": file.media_id},
            attempts=4 if patient else 1,
        )
        if answer is not None and answer.status == httpx.codes.OK:
            file.state, file.position = "deleted", max(answer.position, file.position)
        return answer

    def _any_uploaded(self) -> Known | None:
        uploaded = [file for file in self.files.values() if file.state == "uploaded"]
        return self.chance.choice(uploaded) if uploaded else None

    async def remove_many(self, count: int = 4) -> None:
        """Delete several at once, one that was never there among them."""
        uploaded = [file for file in self.files.values() if file.state == "uploaded"]
        if len(uploaded) < 2:
            return
        chosen = self.chance.sample(uploaded, min(count, len(uploaded)))
        for file in chosen:
            file.state = "deleting"
        ids = [*(file.media_id for file in chosen), "media_0000000000000000"]
        op, asked = self.new_op(), {"ids": ids}
        answer = await self.call(op, "bulk_delete", "POST", "/files/bulk-delete", asked)
        if answer is None or answer.status != httpx.codes.OK:
            return
        for file in chosen:
            if file.media_id in answer.body["deleted"]:
                file.state, file.position = "deleted", max(answer.position, file.position)

    async def restore(self) -> None:
        """Bring back one of the deleted ones."""
        deleted = [file for file in self.files.values() if file.state == "deleted"]
        if not deleted:
            return
        file = self.chance.choice(deleted)
        file.state = "restoring"
        op, path = self.new_op(), f"/files/{file.media_id}/restore"
        answer = await self.call(op, "restore", "POST", path, args={"mediaId": file.media_id})
        if answer is not None and answer.status == httpx.codes.OK:
            file.state, file.position = "uploaded", max(answer.position, file.position)

    async def trespass(self) -> None:
        """Try to see, and to delete, what is another workspace's."""
        if not self.others:
            return
        media_id = self.chance.choice(self.others)
        for f, method in (("peek", "GET"), ("steal", "DELETE")):
            op = self.new_op()
            args = {"mediaId": media_id}
            self.history.write(op, "invoke", f, args=args)
            answer = await self._attempt(op, f, 1, method, f"/files/{media_id}")
            if answer is None or answer.status >= 500:
                self.history.write(op, "info", f, args=args)
            else:
                kind: Kind = "fail" if answer.status >= 400 else "ok"
                self.history.write(op, kind, f, args=args, status=answer.status)

    async def call(
        self,
        op: str,
        f: str,
        method: str,
        path: str,
        json: Any = None,
        *,
        key: str | None = "",
        args: Mapping[str, Any] | None = None,
        attempts: int = 4,
    ) -> Answer | None:
        """One operation with the repeats of spec 7.2; None when nobody can say how it ended.

        `key` is the operation's id unless another is given; None for no Idempotency-Key.
        """
        key = op if key == "" else key
        told = {**(json or {}), **(args or {})}
        self.history.write(op, "invoke", f, args=told)
        for number in range(1, attempts + 1):
            if number > 1:
                await asyncio.sleep(BACKOFF[min(number - 2, 2)])
            answer = await self._attempt(op, f, number, method, path, json=json, key=key)
            if answer is not None and answer.status < 500:
                self._end(op, f, answer, told)
                return answer
        self.history.write(op, "info", f, args=told)
        if key is not None and method != "GET":
            self.unanswered.append(Unanswered(op, f, method, path, json, key, attempts + 1))
        return None

    def _end(self, op: str, f: str, answer: Answer, args: Mapping[str, Any]) -> None:
        kind: Kind = "ok" if answer.status < 400 else "fail"
        result = {"body": answer.body, "position": str(answer.position)}
        self.history.write(
            op, kind, f, args=dict(args), status=answer.status, result=result,
            code="" if kind == "ok" else answer.body.get("code", ""),
        )  # fmt: skip

    async def _attempt(
        self,
        op: str,
        f: str,
        number: int,
        method: str,
        path: str,
        *,
        json: Any = None,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
        wanted: int = 0,
    ) -> Answer | None:
        """One request, with its line in the history."""
        request_id = f"{op}.{number}"
        headers = {"x-request-id": request_id}
        if key is not None and method != "GET":
            headers["idempotency-key"] = key
        if wanted:
            headers["media-position"] = str(wanted)
        began = time.monotonic()
        url = self.system.api + path
        line: dict[str, Any] = {"request_id": request_id}
        self.asked += 1
        try:
            said = await self._http.request(method, url, json=json, headers=headers, params=params)
        except httpx.HTTPError as error:
            line |= {"seconds": time.monotonic() - began, "error": type(error).__name__}
            self.history.write(op, "attempt", f, **line)
            return None
        finally:
            self.answered += 1
        wrong, body = _shape(said)
        line |= {"seconds": time.monotonic() - began, "status": said.status_code, "error": wrong}
        code = body.get("code", "") if said.status_code >= 400 and isinstance(body, dict) else ""
        position = int(said.headers.get("media-position", "0"))
        self.history.write(op, "attempt", f, **line, code=code)
        return None if wrong else Answer(said.status_code, body, position, request_id)

    async def settle(self) -> None:
        """All is well again: ask once more for what nobody could say, with the same key."""
        waiting, self.unanswered = self.unanswered, []
        for one in waiting:
            deadline = time.monotonic() + PATIENCE_SECONDS
            number = one.number
            while time.monotonic() < deadline:
                answer = await self._attempt(
                    one.op, one.f, number, one.method, one.path, json=one.json, key=one.key
                )
                if answer is not None and answer.status < 500:
                    self._end(one.op, one.f, answer, one.json or {})
                    break
                number += 1
                await asyncio.sleep(0.3)


def _shape(said: httpx.Response) -> tuple[str, Any]:
    """What is wrong with an answer, and its body."""
    try:
        body = said.json()
    except ValueError:
        return "no JSON", {}
    if said.status_code < 400:
        return "", body
    if not isinstance(body, dict) or not {"error", "code", "status"} <= set(body):
        return "no envelope", body
    if set(body) - {"error", "code", "status", "details"} or body["status"] != said.status_code:
        return "a wrong envelope", body
    return "", body


class Crowd:
    """The clients of one scenario: two workspaces, some people each."""

    def __init__(
        self, system: System, folder: Path, *, run: str, seed: str, people: int = 2
    ) -> None:
        """`run` makes names that no other has; what is done comes from `seed` alone."""
        self.tenants = [f"ls_{run}_{which}" for which in "ab"]
        ids: dict[str, list[str]] = {tenant: [] for tenant in self.tenants}
        self.clients = []
        for tenant in self.tenants:
            (other,) = (one for one in self.tenants if one != tenant)
            for number in range(people):
                name = f"{run}{tenant[-1]}{number}"
                client = Client(
                    system,
                    folder,
                    name=name,
                    tenant=tenant,
                    chance=random.Random(f"{seed} {name.removeprefix(run)}"),
                    others=ids[other],
                )
                client.own = ids[tenant]
                self.clients.append(client)
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._beside: list[asyncio.Task[None]] = []

    async def _end_beside(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    def start(self, *, pause: float) -> None:
        """Let them begin."""
        self._tasks = [
            asyncio.create_task(client.run(self._over, pause=pause)) for client in self.clients
        ]

    def also(self, work: Coroutine[object, object, None]) -> None:
        """Do this too, until it is over."""
        self._beside.append(asyncio.create_task(work))

    async def until_busy(self) -> None:
        """Wait until they have done some more things: a strike at nobody proves nothing."""
        wanted = self._done() + LEAST_OPERATIONS
        deadline = time.monotonic() + BUSY_SECONDS
        while self._done() < wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def _done(self) -> int:
        return sum(client.done for client in self.clients)

    @property
    def asked(self) -> int:
        """Requests so far, of all of them."""
        return sum(client.asked for client in self.clients)

    @property
    def waiting(self) -> int:
        """Requests under way."""
        return self.asked - sum(client.answered for client in self.clients)

    async def finish(self) -> None:
        """Let them finish what they are at, then ask again for what nobody could say."""
        self._over.set()
        await self._end_beside()
        await asyncio.gather(*self._tasks)
        await asyncio.gather(*(client.settle() for client in self.clients))

    async def close(self) -> None:
        """Send them home."""
        await self._end_beside()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self.clients))
