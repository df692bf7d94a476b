"""The Data page: upload, preview, rows, problems."""
