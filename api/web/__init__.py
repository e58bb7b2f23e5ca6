"""The web page: templates, styles and routes under /ui, for people who would rather look than read."""
