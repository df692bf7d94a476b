"""What lies in a run's folder.

`folder` names its paths and small records, `events` its event stream; `answers` are the answers that its models gave,
`evaluation_report` what an evaluation found, and `export_request` what an export program is given and returns.
"""
