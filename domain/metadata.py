"""What a file may tell beside its picture, and what of that is served."""

from typing import Literal, get_args

MetadataPolicy = Literal["keep", "strip-location", "strip-all"]
"""`strip-location`: where it was taken. `strip-all`: everything but orientation and colours."""
METADATA_POLICIES: tuple[MetadataPolicy, ...] = get_args(MetadataPolicy)
REMOVABLE = frozenset({"exif", "xmp", "iptc", "text", "comment", "application", "container"})
"""Where in a file something may have stood that was removed."""
