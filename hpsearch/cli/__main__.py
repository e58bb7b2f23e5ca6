"""`python -m hpsearch.cli` is the `hpsearch` command."""

from hpsearch.cli.main import main

main()
