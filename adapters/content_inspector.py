"""The `ContentInspector` port: libmagic on the first bytes of a file.

The first gate only: that a whole file is what it says is proven by decoding it.
"""

from xml.parsers import expat

import pylibmagic  # first: it makes `magic` find the library of its wheel

# isort: split
import magic

BOX_HEADER_BYTES = 8
MAX_FILE_TYPE_BOX_BYTES = 1024
"""Real ones name a dozen brands of 4 bytes at most."""
AVIF_BRANDS = {b"avif", b"avis"}
MP4_BRANDS = {
    *(b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9"),
    *(b"mp41", b"mp42", b"mp71", b"mmp4", b"avc1", b"hvc1", b"av01", b"dash", b"cmfc"),
    *(b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"NDSC", b"XAVC", b"f4v "),
}
NOT_MP4 = {b"qt  ", b"M4A ", b"M4B ", b"heic", b"heix", b"mif1", b"msf1", b"jp2 ", b"crx "}
"""Major brands of other formats, which often name `isom` or `mp42` as compatible beside."""
ALSO_MP4 = {"video/x-m4v", "video/3gpp", "audio/mp4", "application/octet-stream"}
"""What libmagic calls an MP4 whose major brand it does not count among MP4's."""

SVG_ROOT = "http://www.w3.org/2000/svg svg"


class MagicContentInspector:
    """Safe to use from several threads: `magic.Magic` holds a lock while it looks."""

    def __init__(self) -> None:
        database = pylibmagic.data.joinpath("magic.mgc")
        self._magic = magic.Magic(mime=True, magic_file=str(database))

    def is_of_type(self, head: bytes, mime_type: str) -> bool:
        """Whether the first bytes of a file are of the declared type."""
        if mime_type == "image/svg+xml":
            return _begins_as_svg(head)
        try:
            found = self._magic.from_buffer(head)
        except magic.MagicException:
            return False
        match mime_type:
            case "image/avif":
                # libmagic takes the major brand `mif1` for HEIF, whatever the picture is.
                return found in {"image/avif", "image/heif"} and bool(AVIF_BRANDS & _brands(head))
            case "video/mp4":
                return (found == mime_type or found in ALSO_MP4) and _is_mp4(head)
            case "application/pdf":
                # Viewers also take a PDF that begins later, which lets it be something else too.
                return found == mime_type and head.startswith(b"%PDF-")
            case "image/gif":
                # libmagic looks at `GIF8` alone.
                return found == mime_type and head.startswith((b"GIF87a", b"GIF89a"))
        return found == mime_type


def _brands(head: bytes) -> set[bytes]:
    """The brands of the ISO media file type box that a file begins with, the major one included."""
    size = int.from_bytes(head[:4])
    if head[4:8] != b"ftyp" or not 2 * BOX_HEADER_BYTES <= size <= MAX_FILE_TYPE_BOX_BYTES:
        return set()
    compatible = head[2 * BOX_HEADER_BYTES : size]
    return {head[8:12], *(compatible[at : at + 4] for at in range(0, len(compatible), 4))}


def _is_mp4(head: bytes) -> bool:
    return head[8:12] not in NOT_MP4 | AVIF_BRANDS and bool(MP4_BRANDS & _brands(head))


def _begins_as_svg(head: bytes) -> bool:
    """Whether the first element is SVG's, or no element has come yet and all so far is XML.

    libmagic misses drawings behind a byte order mark, a comment, white space, or in UTF-16.
    """
    found: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _: found.append(name)
    try:
        parser.Parse(head, False)  # noqa: FBT003 - expat takes no keywords
    except expat.ExpatError:
        pass
    else:
        if not found:
            return bool(head.strip())
    return bool(found) and found[0] == SVG_ROOT
