"""How large and how wide a data file may be; each limit is checked before what it protects is allocated."""

from __future__ import annotations

from typing import Final

# The API counts while it receives; the parser checks again.
MAX_FILE_BYTES: Final = 1 << 30
# 5,000,000 rows x 20 columns, or 200,000 x 500, are 800 MB as float64: the most a worker should have to hold.
MAX_ROWS: Final = 5_000_000
MAX_CELLS: Final = 100_000_000
# Flattened 32 x 32 x 3 pictures have 3,072.
MAX_COLUMNS: Final = 4_096
# After one-hot coding, as float32: 1.6 GB.
MAX_PREPARED_CELLS: Final = 400_000_000
MAX_DECODED_BYTES: Final = 2 << 30
# One row of MAX_COLUMNS numbers at full precision is 100 KB.
MAX_LINE_BYTES: Final = 1 << 20
MAX_NAME_LENGTH: Final = 200
# A longer cell is free text, not a category.
MAX_TEXT_LENGTH: Final = 200
MAX_CATEGORIES: Final = 1_000
MAX_CLASSES: Final = 1_000
MAX_ARRAYS: Final = MAX_COLUMNS
MIN_ROWS: Final = 2
