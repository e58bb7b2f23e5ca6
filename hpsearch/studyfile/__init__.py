"""Study files: YAML read, checked and written, with messages that name line and field."""
