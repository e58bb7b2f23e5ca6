"""The worker's side of the REST API: session, reports, model uploads, data sets."""
