"""Typed synchronous HTTP client of the service, used by workers, notebooks, the command line and tests alike.

    >>> with Client("http://127.0.0.1:8000", token) as client:
    ...     study = client.studies.create(definition)
    ...     for event in client.studies.events(study.study_id):
    ...         print(event.kind)
    ...     client.studies.download_model(study.study_id, Path("best.keras"))

Every method raises one of the errors of `hpsearch.errors`, and nothing else, when the service or the network refuses.
"""

from hpsearch.client.backoff import Backoff, repeat
from hpsearch.client.client import Client

__all__ = ["Backoff", "Client", "repeat"]
