"""What a person touches: the web app and the command line.

`app` is the page, `tabs` its parts, `islands` our own components, `planning` the way from a form to a run, `uploads`
what browsers send, `routes` JSON and images, `serving` the web process, `cli` the same acts from a terminal.
"""
