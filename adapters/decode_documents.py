"""Decodes PDF documents. In a child of the heavy server."""

import pypdfium2  # type: ignore[import-untyped]  # ships no types
import pypdfium2.raw  # type: ignore[import-untyped]  # ships no types

from adapters.decode_loaders import refusal_of
from adapters.decode_verdict import DecodeLimits, Refusal


def decode(body: bytes, limits: DecodeLimits) -> None:
    """Decode all that is on its pages. Raises Refusal."""
    try:
        _decode(body, limits)
    except pypdfium2.PdfiumError as error:
        raise refusal_of(str(error)) from None


def page_count(body: bytes) -> int:
    """How many pages it has. Raises Refusal."""
    try:
        return len(pypdfium2.PdfDocument(body))
    except pypdfium2.PdfiumError as error:
        raise refusal_of(str(error)) from None


def _decode(body: bytes, limits: DecodeLimits) -> None:
    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError:
        if pypdfium2.raw.FPDF_GetLastError() in (
            pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY
        ):  # fmt: skip
            raise Refusal("encrypted", "The PDF asks for a password.") from None
        raise
    pages = len(document)
    if pages == 0:
        raise Refusal("damaged", "The PDF has no page.")
    if pages > limits.pages:
        raise Refusal("limits", f"{pages} pages are more than {limits.pages}.")
    for index in range(pages):
        page = document[index]
        # The smallest bitmap makes PDFium run the page's content and decode its images.
        bitmap = pypdfium2.PdfBitmap.new_native(1, 1, pypdfium2.raw.FPDFBitmap_BGRx)
        pypdfium2.raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, 1, 1, 0, 0)
        bitmap.close()
        page.close()
    document.close()
