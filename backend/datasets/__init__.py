"""From an upload to `data/<name>/`, in the order of an import; then what changes a dataset that is there.

`archive` and `upload` say what was uploaded; `json_rows` and `table_rows` read rows; `layouts`, `turns`, `columns` and
`accepted` understand them; `references` finds their images, `checks` their faults; `reading` and `gathering` do this
for every row. `images` checks images in worker processes; `split`, `statistics` and `assembly` make the dataset;
`staging` and `publishing` let it appear whole; `importer` is the whole way and `store` the door for everybody else.

`row_files` says which file holds which version; `changing` makes a new one whole or not at all, with `recounting` and
`links`; `editing` corrects answers and restores versions, `sets` copies rows, `making` takes rows without an upload.
"""
