"""The pages, one file per resource: each reads its types, asks a service and renders a template."""
