"""Datasets: from an upload to `data/<name>/`, in the order of the road; then what changes a dataset that is there.

What was uploaded
    archive         unpack a zip that is not trusted
    upload          which files hold rows, which file a name means, how a text is encoded
Rows as they were written
    json_rows       JSON lists and JSON lines
    table_rows      CSV and TSV; parquet through `parquet_worker`, a program of its own
Rows as the studio understands them
    turns           the turns of a conversation
    layouts         which layout a row has, and the same row in the studio's one form
    image_resolver  which uploaded image a row means
    split_names     which part, train, validation or test, the name of a file or folder means
    split_column    which part a row itself names
    columns         which column plays which part, judged for a whole file; `choices` of a multiple-choice question
    row_reader      all of this for every row of a file
    upload_reader   all files of an upload, and what was given beside it
The dataset
    image_pool      check and store images, in processes of `image_worker`
    split           which rows are drawn for validation
    given_split     the part of every row, as the upload has it or drawn
    assembly        leave out rows with bad images, write and count
    staging         the folder it is built in, and its appearing whole
    importer        the whole road, and a look at an upload before it
What is there
    store           the door for pages, commands and programs
    rows_file       `data.json` by line, and which file holds which version
    editing         a new version: corrected answers, rows left out, an earlier one restored
    subsets         datasets of rows known to be good: copied, or drawn
What all of them use
    records         the manifest, and what an import says
    problems        every problem by its code
    limits          how foreign bytes are confined, and how far they may expand
"""
