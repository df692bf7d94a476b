"""From an upload to `data/<name>/`: unpack, recognise, check, split, count, store."""
