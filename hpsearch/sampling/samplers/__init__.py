"""How each search algorithm chooses points: one module for each entry of `domain.algorithms`, named like it."""
