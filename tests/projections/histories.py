"""Histories of whole libraries, as the domain's own decisions write them."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from domain import bin as bin_
from domain import derivation, ingest, scanning
from domain.access import Access
from domain.cache_purge import CachedFile
from domain.errors import SourceUnavailable
from domain.event import Event, Recorded
from domain.media_file import MediaFile, Status
from domain.media_file_events import (
    FileDeleted,
    IngestRequested,
    UploadCompleted,
    UploadRequested,
)
from domain.media_type import MEDIA_TYPES
from domain.object_key import object_key
from domain.owner import parse
from domain.rendition import DEFAULT_PRESETS, Facts, Rendition, formats_of, mime_of, rendition_key
from domain.rendition_events import MetadataRemoved, PosterStored
from domain.scan_events import ScanPassed
from domain.tenant import Tenant, TenantFilesRemoved, TenantRemoved, stream_of
from domain.webhook import SUBSCRIBABLE, PauseReason, Webhook, WebhookStatus
from domain.webhook_events import WebhookRegistered

START = datetime(2026, 4, 29, 10, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = timedelta(days=30)
INGESTED = 0.2
SERVICES = ("blog", "content", "store", "avatar")
NAMES = ("hero.webp", "ÄPFEL 100%.jpg", "straße_1.png", "a-b.gif", "Отчёт.pdf", "写真.avif")


def media_id(number: int) -> str:
    return f"media_{number:016d}"


def requested(
    owner: str, number: int, *, name: str = "hero.webp", mime: str = "image/webp", **changes: object
) -> UploadRequested:
    service = str(changes.get("service_code", "blog"))
    facts: dict[str, object] = {
        "file_name": name,
        "file_size": 1000,
        "mime_type": mime,
        "service_code": service,
        "key": object_key(
            parse(owner),
            service_code=service,
            at=START,
            media_id=media_id(number),
            extension=MEDIA_TYPES[mime].extension,
        ),
        "is_public": True,
        "uploaded_by": "user_1",
        "sha256": None,
    }
    return UploadRequested(**(facts | changes))  # type: ignore[arg-type]


def recorded(
    owner: str, stream: str, version: int, at: datetime, event: Event, *, actor: str = "user:user_1"
) -> Recorded:
    return Recorded(
        stream=stream,
        version=version,
        position=0,
        at=at,
        owner=owner,
        actor=actor,
        access=Access.WORKSPACE,
        command_id="cmd_1",
        correlation_id="request-1",
        event=event,
    )


def uploaded(
    owner: str, number: int, *, at: datetime | None = None, **facts: object
) -> list[Recorded]:
    """A file from the request to its completion, requested `number` seconds after the start."""
    at = at or START + timedelta(seconds=number)
    request = requested(owner, number, **facts)  # type: ignore[arg-type]
    done = UploadCompleted(
        file_name=request.file_name,
        file_size=request.file_size,
        mime_type=request.mime_type,
        service_code=request.service_code,
        key=request.key,
        is_public=request.is_public,
        uploaded_by=request.uploaded_by,
        requested_at=at,
    )
    return [
        recorded(owner, media_id(number), 1, at, request),
        recorded(owner, media_id(number), 2, at + timedelta(seconds=1), done),
    ]


def deleted(
    file: Sequence[Recorded], *, at: datetime | None = None, bin_for: timedelta = timedelta(0)
) -> Recorded:
    """The deletion that follows a file's history."""
    state = MediaFile.from_history(file)
    assert state is not None
    at = at or file[-1].at + DAY
    (event,) = state.delete(at=at, bin_for=bin_for)
    assert isinstance(event, FileDeleted)
    return recorded(state.owner, state.id, state.version + 1, at, event)


def registered(
    owner: str, number: int, *, at: datetime = START, target_id: str = "target_1"
) -> Recorded:
    """A webhook's first event."""
    event = WebhookRegistered(
        origin="https://a.example",
        target_id=target_id,
        event_types=list(SUBSCRIBABLE),
        description="",
        created_by="user_1",
    )
    return recorded(owner, f"wh_{number:016d}", 1, at, event)


def removed(owner: str, at: datetime) -> Recorded:
    return recorded(owner, stream_of(owner[2:]), 1, at, TenantRemoved(), actor="service:internal")


class Library:
    """Owners who do at random what may be done, one event after another."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.files: dict[str, MediaFile] = {}
        self.caches: dict[str, CachedFile] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.tenants = {"t:ls_a": Tenant(), "t:ls_b": Tenant(), "t:ls_c": Tenant()}
        self.owners = [*self.tenants, "u:user_1"]
        self.at = START

    def history(self, events: int) -> Iterator[Recorded]:
        """So many events, each with the position 0."""
        produced = 0
        while produced < events:
            self.at += timedelta(seconds=self.random.randrange(3600))
            event = self._anything()
            if event is not None:
                produced += 1
                yield event

    def _anything(self) -> Recorded | None:
        choice = self.random.random()
        if choice < 0.35 or not self.files:
            return self._request()
        if choice < 0.37:
            return self._remove_tenant()
        if choice < 0.42:
            return self._about_a_webhook()
        return self._go_on(self.random.choice(list(self.files.values())))

    def _request(self) -> Recorded | None:
        owner = self.random.choice(self.owners)
        if owner in self.tenants and self.tenants[owner].removed_at:
            return None
        number = len(self.files)
        event: Event = requested(
            owner,
            number,
            name=self.random.choice(NAMES),
            mime=self.random.choice(list(MEDIA_TYPES)),
            service_code=self.random.choice(SERVICES),
            file_size=self.random.randrange(1, 10_000),
            is_public=self.random.random() < 0.7,
        )
        if self.random.random() < INGESTED:
            event = IngestRequested(
                source="https://images.example/a",
                service_code=self.random.choice(SERVICES),
                is_public=True,
                uploaded_by="user_1",
                file_name=None,
            )
        new = recorded(owner, media_id(number), 1, self.at, event)
        self.files[new.stream] = MediaFile.evolve(None, new)
        self.caches[new.stream] = CachedFile.from_history([new])
        return new

    def _go_on(self, file: MediaFile) -> Recorded | None:
        at = self.at
        options: list[list[Event]]
        if file.awaits_source:
            options = [
                self._fetched(file),
                ingest.failed(file, SourceUnavailable("The source answers 404.")),
                file.expire(at=at, pending_lifetime=DAY),
                file.delete(at=at),
            ]
        elif file.status is Status.PENDING:
            options = [
                file.complete(served_bytes=file.file_size - 1),
                file.complete(served_bytes=file.file_size),
                file.defer_verification(),
                scanning.request_scan(file),
                self._scanned(file),
                scanning.fail_scan(file, error="The scanner cannot be reached."),
                scanning.retry_scan(file),
                file.reject(reason="type", detail="Not of the declared type.", at=at),
                file.expire(at=at, pending_lifetime=DAY),
                file.delete(at=at),
            ]
        elif file.status is Status.UPLOADED:
            options = [
                file.delete(at=at),
                file.delete(at=at, bin_for=MONTH),
                bin_.change_visibility(file, is_public=not file.is_public, at=at),
                bin_.request_placement(file, at=at),
                bin_.record_placement(file, at=at),
                bin_.record_placement_failure(file, error="the store does not answer"),
                self._looked_into(file),
                self._looked_into(file),
                *(self._rendered(file) for _ in range(3)),
                derivation.cleared(file),
                self._told_to_caches(file),
            ]
        elif file.in_bin is not None:
            options = [
                bin_.restore(file, at=at) if at < file.in_bin.until else [],
                bin_.purge(file, at=at),
                bin_.end_retention(file, at=at),
                bin_.record_placement(file, at=at),
                bin_.not_kept(file, error="the private bucket refuses", at=at),
                derivation.cleared(file),
                self._told_to_caches(file),
            ]
        else:
            options = [
                file.record_purge(at=at),
                file.record_purge_failure(error="the store does not answer"),
                file.retry_purge(),
                self._told_to_caches(file),
            ]
        events = self.random.choice(options)
        if not events:
            return None
        new = recorded(file.owner, file.id, file.version + 1, at, events[0])
        self.files[file.id] = MediaFile.evolve(file, new)
        self.caches[file.id] = self.caches[file.id].evolve(new)
        return new

    def _scanned(self, file: MediaFile) -> list[Event]:
        passed = ScanPassed(engine="a scanner", etag="an etag", scanned_bytes=file.file_size)
        return scanning.pass_scan(file, passed)

    def _looked_into(self, file: MediaFile) -> list[Event]:
        dice = self.random
        facts = Facts(
            width=dice.randrange(1, 99), height=1, placeholder="HwgOBZpwh3", frame_count=2
        )
        poster = PosterStored(
            recipe=1,
            format="image/webp",
            key=rendition_key(file.key, "poster", 1, "webp"),
            bytes=100,
            width=10,
            height=10,
            at_ms=0,
        )
        return dice.choice(
            [
                derivation.inspected(file, facts, sha256=f"{dice.randrange(10):064}"),
                derivation.inspection_failed(
                    file, reason="time", detail="It takes too long.", presets=DEFAULT_PRESETS
                ),
                [MetadataRemoved(policy="strip-location", removed=("exif",))],
                [poster] if file.derived.inspected and file.mime_type.startswith("video/") else [],
            ]
        )

    def _rendered(self, file: MediaFile) -> list[Event]:
        dice = self.random
        name = dice.choice(list(DEFAULT_PRESETS))
        preset = msgspec.structs.replace(DEFAULT_PRESETS[name], recipe=dice.choice((1, 2)))
        format_ = dice.choice(formats_of(preset, animated=False, transparent=False))
        key = rendition_key(file.key, name, preset.recipe, format_)
        made = Rendition(key=key, mime_type=mime_of(format_), bytes=10, width=20, height=30)
        asked = mime_of(format_)
        return dice.choice(
            [
                derivation.requested(file, name, preset, format_),
                derivation.stored(file, name, preset, made),
                derivation.failed(file, name, preset, asked, reason="memory", detail="Too large."),
            ]
        )

    def _told_to_caches(self, file: MediaFile) -> list[Event]:
        cached = self.caches[file.id]
        return self.random.choice(
            [
                cached.record_purge(urls=("https://a.example/a",), cdn="cloudflare", at=self.at),
                cached.record_failure(error="The CDN does not answer."),
                cached.retry(),
                cached.request_purge(reason="user"),
            ]
        )

    def _fetched(self, file: MediaFile) -> list[Event]:
        """Two events, which are appended together in life; here the second may follow."""
        return ingest.fetched(
            file,
            file_name=self.random.choice(NAMES),
            file_size=self.random.randrange(1, 10_000),
            media_type=MEDIA_TYPES[self.random.choice(list(MEDIA_TYPES))],
            sha256="0" * 64,
        )

    def _about_a_webhook(self) -> Recorded | None:
        dice = self.random
        alive = [owner for owner, tenant in self.tenants.items() if not tenant.removed_at]
        known = [
            one
            for one in self.webhooks.values()
            if one.owner in alive and one.status is not WebhookStatus.REMOVED
        ]
        target = f"target_{dice.randrange(10**6)}"
        if not alive:
            return None
        if not known or dice.random() < 0.3:
            new = registered(dice.choice(alive), len(self.webhooks), at=self.at, target_id=target)
            self.webhooks[new.stream] = Webhook.evolve(None, new)
            return new
        webhook = dice.choice(known)
        events = dice.choice(
            [
                webhook.change(
                    origin="https://b.example",
                    target_id=target,
                    event_types=SUBSCRIBABLE[:1],
                    description="changed",
                ),
                webhook.rotate_secret(target_id=target, at=self.at),
                webhook.pause(dice.choice(list(PauseReason))),
                webhook.resume(),
                webhook.ping(),
                webhook.replay(after=0),
                webhook.remove(),
            ]
        )
        if not events:
            return None
        new = recorded(webhook.owner, webhook.id, webhook.version + 1, self.at, events[0])
        self.webhooks[webhook.id] = Webhook.evolve(webhook, new)
        return new

    def _remove_tenant(self) -> Recorded | None:
        owner, tenant = self.random.choice(list(self.tenants.items()))
        alive = [
            file
            for file in self.files.values()
            if file.owner == owner and file.status in {Status.PENDING, Status.UPLOADED}
        ]
        if tenant.removed_at and alive:
            return None
        event: Event = TenantFilesRemoved() if tenant.removed_at else TenantRemoved()
        if tenant.files_removed:
            return None
        new = recorded(owner, stream_of(owner[2:]), tenant.version + 1, self.at, event)
        self.tenants[owner] = tenant.evolve(new)
        return new
