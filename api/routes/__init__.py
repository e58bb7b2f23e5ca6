"""The routes, one file per resource: each reads its types, makes one service call and chooses a status."""
