"""The web page: templates, scripts, styles and routes under /ui."""
