"""The Data page: upload, preview, rows, problems.

layout      the page and its handlers
components  its own components, and the card that brings data in
importing   from the files a browser sent to a dataset, step by step
views       datasets, previews and reports as plain values
routes      rows a page at a time, and problems as CSV
"""
