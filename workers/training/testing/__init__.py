"""A trainer that needs no Keras and whose every result can be recomputed: for tests of the machinery around training.

Never for real studies: `hpsearch worker --engine stub` refuses unless HPSEARCH_STUB_ENGINE=1 is set.
"""
