"""From an upload to `data/<name>/`, in the order of an import.

`archive` and `upload` say what was uploaded; `json_rows` and `table_rows` read rows; `layouts`, `turns` and `columns`
understand them; `references` finds their pictures and `checks` their faults; `reading` and `gathering` do this for
every row. `pictures` checks pictures in worker processes; `split`, `statistics` and `assembly` make the dataset;
`staging` and `publishing` let it appear whole; `importer` is the whole way and `store` the door for everybody else.
"""
