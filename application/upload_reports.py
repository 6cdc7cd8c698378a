"""What browsers tell of uploads that went wrong between them and the bucket (spec 8.2)."""

from typing import Annotated, Literal

import msgspec

from application.access import access_of
from application.context import Context
from application.media import Media, claim_for, same_request
from application.ports import KeyTaken
from domain.access import OwnerBypass
from domain.errors import MediaNotFound
from domain.media_file import MediaFile

Outcome = Literal["no_answer", "4xx", "5xx", "exists", "stored", "other"]
EXISTS = 412
"""The answer to a second PUT: the bytes are stored, the first answer was lost."""


class ReportUpload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Tell how an attempt to store the bytes ended."""

    media_id: str
    stage: Literal["put"]
    status: Annotated[int, msgspec.Meta(ge=0, le=599)]
    """Of the answer; 0 when there was none."""
    attempt: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    """1 for the first."""

    @property
    def outcome(self) -> Outcome:
        """The status in as many words as a metric may have."""
        if self.status == 0:
            return "no_answer"
        if self.status == EXISTS:
            return "exists"
        classes: dict[int, Outcome] = {2: "stored", 4: "4xx", 5: "5xx"}
        return classes.get(self.status // 100, "other")


class UploadReports:
    """Takes the reports of those who may complete the upload."""

    def __init__(self, media: Media, *, owner_bypass: OwnerBypass) -> None:
        self._media = media
        self._owner_bypass: OwnerBypass = owner_bypass

    async def report_upload(
        self, command: ReportUpload, context: Context
    ) -> tuple[MediaFile, bool]:
        """The upload, and whether the report is to be counted: a repeated one is not.

        Raises MediaNotFound, also for a file of another workspace.
        """
        media_id = command.media_id
        file = (await self._media.load(media_id)).file(media_id)
        if file is None or access_of(file, context, self._owner_bypass) is None:
            raise MediaNotFound(media_id)
        claim = claim_for(context, {"mediaId": media_id})
        if claim is not None:
            try:
                await self._media.append([], context, claim=claim)
            except KeyTaken as taken:
                same_request(taken.kept, context)
                return file, False
        return file, True
