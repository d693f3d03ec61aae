"""How a stored file leaves the platform. Each page that offers one asks first whether this person may read it."""

from django.http import FileResponse, Http404, HttpResponseBase

from marketplace.models import StoredFile
from marketplace.services import files


def download(stored: StoredFile) -> HttpResponseBase:
    """The file as a download: never shown inside our origin, never kept by a shared cache, never guessed at."""
    try:
        content = files.open_file(stored)
    except FileNotFoundError as error:
        raise Http404 from error
    response = FileResponse(content, as_attachment=True, filename=stored.name, content_type=stored.media_type)
    response["Content-Length"] = str(stored.size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
