"""Tests of hpsearch; the folders mirror the source."""
