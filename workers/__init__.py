"""The worker: claims trials over HTTP, trains them in child processes and reports what came out."""
