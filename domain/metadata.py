"""What a file may tell beside its picture, and what of that is served."""

from typing import Literal, get_args

MetadataPolicy = Literal["keep", "strip-location", "strip-all"]
"""`strip-location`: where it was taken. `strip-all`: everything but orientation and colours."""
METADATA_POLICIES: tuple[MetadataPolicy, ...] = get_args(MetadataPolicy)
