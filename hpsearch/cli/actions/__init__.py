"""Actions: what each command does once its arguments are parsed."""
