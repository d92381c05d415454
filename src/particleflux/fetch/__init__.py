"""Public files -> disk: checked before they take their name, with a record of where they came from."""

from particleflux.fetch.download import Downloader, Received
from particleflux.fetch.sources import BASE, SOURCES, Source
from particleflux.fetch.store import Fetched, fetch_source, fetch_url

__all__ = ["BASE", "SOURCES", "Downloader", "Fetched", "Received", "Source", "fetch_source", "fetch_url"]
