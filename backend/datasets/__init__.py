"""Datasets: from an upload to `data/<name>/`, in the order of the road; then what changes a dataset that is there.

What was uploaded
    archive         unpack a zip that is not trusted
    upload          which files hold rows, and which file a name means
    encodings       how a text file is encoded that is not UTF-8, and how names in a zip are
    formats         files of other tools: read as rows, or named with the way to get there
Rows as they were written
    json_text       one JSON text, with numbers as they were written
    json_objects    which rows an object holds
    json_rows       JSON lists and JSON lines
    table_rows      CSV and TSV; `parquet_worker` and `workbook_worker` convert the rest, programs of their own
    joined_questions questions that stand in a file of their own
Rows as the studio understands them
    columns         which column plays which part, judged for a whole file
    choices         multiple choice: the choices in the question, an index as a letter
    turns           the turns of a conversation
    layouts         one row in the studio's one form
    image_cells     the images that one cell names or holds
    image_resolver  which uploaded image a row means
    split_names     which part, train, validation or test, the name of a file or folder means
    split_column    which part a row itself names
    row_reader      all of this for every row of a file
    upload_reader   all files of an upload, and what was given beside it
The dataset
    image_pool      check and store images, in processes of `image_worker`
    split           which rows are drawn for validation
    given_split     the part of every row, as the upload has it or drawn
    coordinate_counts what answers count coordinates in
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
