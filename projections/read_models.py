"""The read models there are: what the projector follows and a rebuild can be asked for."""

from collections.abc import Mapping

from projections.audit_trail import AuditTrailProjection
from projections.file_list import FileListProjection
from projections.pending_uploads import PendingUploadsProjection
from projections.projection import Projection
from projections.storage_stats import StorageStatsProjection
from projections.unfinished_work import UnfinishedWorkProjection
from projections.webhooks import WebhooksProjection

READ_MODELS: Mapping[str, Projection] = {
    projection.name: projection
    for projection in (
        FileListProjection(),
        StorageStatsProjection(),
        PendingUploadsProjection(),
        AuditTrailProjection(),
        UnfinishedWorkProjection(),
        WebhooksProjection(),
    )
}


def is_retired(follower: str) -> bool:
    """Whether it is an earlier version of a read model, which nobody keeps live any more."""
    stem = follower.rpartition("_v")[0]
    return follower not in READ_MODELS and any(
        name.rpartition("_v")[0] == stem for name in READ_MODELS
    )
