"""Tests of the tests: bugs that are planted on purpose, each of which must turn the proofs red."""
