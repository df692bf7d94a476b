"""Ready rewards. Each file stands alone: copy one, change the constants at its top, and it is yours.

The first line of a file says what it pays: `Pays 1 for THIS: more` or `Pays up to 1 for THIS: more`; the composer takes
`THIS` into its sentence. Nothing here is imported by the studio, which reads these files as text.
"""
