"""The API's description: OpenAPI, examples, code samples."""
